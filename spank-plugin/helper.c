#include "helper.h"
#include "cleanup.h"
#include "early_call.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum {
    // Descriptors on which the helper answers, and on which its call to stowaged has begun; the first after
    // the standard ones.
    REPLY_FD = 3,
    CALL_FD = 4,
    NUMBER_TEXT_MAX = 16,
    // Of the command line, without what was asked for besides the image, and the NULL at its end.
    ARGUMENTS_MAX = 32,
};

// An exit status with which the helper cannot end, for a failed execve.
enum { EXIT_NOT_EXECUTED = 127 };

// A rank's environment may point the dynamic loader at libraries that stowage-enter was not built with.
static void drop_loader_variables(char **environment) {
    char **kept = environment;
    for (char **at = environment; *at; at++) {
        if (strncmp(*at, "LD_", 3) != 0)
            *kept++ = *at;
    }
    *kept = NULL;
}

static char **copy_pointers(char **environment) {
    size_t count = 0;
    while (environment[count])
        count++;
    char **copy = malloc((count + 1) * sizeof *copy);
    if (copy)
        memcpy(copy, environment, (count + 1) * sizeof *copy);
    return copy;
}

int helper_path(const struct settings *settings, char path[PATH_MAX], struct error *err) {
    if (snprintf(path, PATH_MAX, "%s/stowage-enter", settings->libexec) >= PATH_MAX)
        return error_set(err, "plugstack.conf: libexec= is too long");
    if (access(path, X_OK) != 0)
        return error_set(err, "%s cannot be run (%s); the administrators must install Stowage on this node",
                         path, strerror(errno));
    return 0;
}

// Reads one answer to its end. Returns its length, or -1; a longer answer than `size` is a failure.
static ssize_t read_all(int fd, char *buffer, size_t size, struct error *err) {
    size_t used = 0;
    for (;;) {
        ssize_t got = read(fd, buffer + used, size - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_errno(err, "cannot read the answer of stowage-enter");
        if (got == 0)
            return (ssize_t)used;
        used += (size_t)got;
        if (used == size)
            return error_set(err, "the environment of the image is larger than %d bytes", STEP_REPLY_MAX);
    }
}

static int wait_for(pid_t pid, int *status) {
    pid_t waited;
    do
        waited = waitpid(pid, status, 0);
    while (waited < 0 && errno == EINTR);
    return waited == pid ? 0 : -1;
}

static int explain_death(int status, struct error *err) {
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return error_set(
            err, "stowage-enter was killed: the step was cancelled, or it ran out of memory; if nobody "
                 "cancelled it, ask for more with --mem");
    if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGTERM || WTERMSIG(status) == SIGINT))
        return error_set(err, "cancelled while the image was being prepared");
    if (WIFSIGNALED(status))
        return error_set(err, "stowage-enter was ended by signal %d (%s)", WTERMSIG(status),
                         strsignal(WTERMSIG(status)));
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NOT_EXECUTED)
        return error_set(err, "stowage-enter could not be started");
    return error_set(err, "stowage-enter ended without an answer (status %d)", status);
}

// Takes one record off the front of the answer: its first byte must be `kind`. NULL if it is not there.
static const char *take_record(const char **at, const char *end, char kind) {
    const char *record = *at;
    if (record == end || record[0] != kind)
        return NULL;
    *at += strlen(record) + 1;
    return record + 1;
}

static int copy_path(char to[PATH_MAX], const char *record) {
    return record && record[0] == '/' && snprintf(to, PATH_MAX, "%s", record) < PATH_MAX ? 0 : -1;
}

// A directory that is used where it is has none.
static int copy_lock(char to[PATH_MAX], const char *record) {
    to[0] = '\0';
    return record && record[0] == '\0' ? 0 : copy_path(to, record);
}

// One letter for each that holds: enter/reply.c writes them.
static int copy_entry(struct step_entry *entry, const char *record) {
    if (!record)
        return -1;
    *entry = (struct step_entry){
        .net = strchr(record, 'n'),
        .ipc = strchr(record, 'i'),
        .uts = strchr(record, 'u'),
        .root = strchr(record, 'r'),
        .keep_holder = strchr(record, 'k'),
    };
    return strspn(record, "niurk") == strlen(record) ? 0 : -1;
}

// A process that is not there is 0. Returns -1 if it is none.
static int copy_pid(pid_t *to, const char *record) {
    long pid = record ? strtol(record, NULL, 10) : 0;
    if (record && (pid <= 1 || pid > INT_MAX))
        return -1;
    *to = (pid_t)pid;
    return 0;
}

// The answer is "E<sentence>\0", or "H<pid>\0", "J<entry>\0", perhaps "S<pid>\0", "L<lock>\0",
// "W<directory>\0" and then the environment records of struct step_container.
static int parse_reply(char *reply, size_t length, struct step_container *container, struct error *err) {
    const char *at = reply;
    const char *end = reply + length;
    if (length == 0 || end[-1] != '\0')
        return error_set(err, "the answer of stowage-enter is not whole");
    if (reply[0] == 'E')
        return error_set(err, "%s", reply + 1);

    const char *pid = take_record(&at, end, 'H');
    const char *entry = take_record(&at, end, 'J');
    const char *saver = take_record(&at, end, 'S');
    const char *lock = take_record(&at, end, 'L');
    const char *directory = take_record(&at, end, 'W');
    pid_t holder = 0;
    if (!pid || copy_pid(&holder, pid) != 0 || copy_pid(&container->saver, saver) != 0 ||
        copy_entry(&container->entry, entry) != 0 || copy_lock(container->tree_lock, lock) != 0 ||
        copy_path(container->working_directory, directory) != 0)
        return error_set(err,
                         "stowage-enter is of another release; the administrators must install the same one");
    container->holder = holder;
    container->environment_bytes = (uint32_t)(end - at);
    memmove(container->environment, at, container->environment_bytes);
    return 0;
}

struct launch {
    const char *path;
    char **argv;
    char **environment;
    int reply;
    // -1 for none.
    int call;
};

// Between vfork and exec: in the memory of the rank, which waits.
static void exec_helper(const struct launch *launch, pid_t leader) {
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != leader)
        _exit(EXIT_NOT_EXECUTED);
    // Out of the way first: where a standard descriptor was closed, these may have got its number.
    bool called = launch->call >= 0;
    int reply = fcntl(launch->reply, F_DUPFD, CALL_FD + 1);
    int call = called ? fcntl(launch->call, F_DUPFD, CALL_FD + 1) : -1;
    int null = open("/dev/null", O_RDWR);
    if (reply < 0 || dup2(reply, REPLY_FD) < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0 ||
        dup2(null, STDOUT_FILENO) < 0 || (called && dup2(call, CALL_FD) < 0))
        _exit(EXIT_NOT_EXECUTED);
    // Nothing of the rank, such as the socket of PMI-2, may stay open in a process it does not know.
    close_range(called ? CALL_FD + 1 : REPLY_FD + 1, ~0U, 0);
    execve(launch->path, launch->argv, launch->environment);
    _exit(EXIT_NOT_EXECUTED);
}

// A copy of slurmstepd's memory, only to be thrown away, would be most of what a warm start costs.
static pid_t start_helper(const struct launch *launch) {
    pid_t leader = getpid();
    pid_t pid = vfork();
    if (pid == 0)
        exec_helper(launch, leader);
    return pid;
}

// Appends what is not always there.
static void add_arguments(const char **argv, const struct helper_request *request, const char *call) {
    size_t count = 0;
    while (argv[count])
        count++;
    if (call) {
        argv[count++] = "--early-call";
        argv[count++] = call;
    }
    if (request->host_directory) {
        argv[count++] = "--show";
        argv[count++] = request->host_directory;
    }
    if (request->pull != PULL_OF_SITE) {
        argv[count++] = "--pull";
        argv[count++] = pull_policy_name(request->pull);
    }
    if (request->show_digest)
        argv[count++] = "--show-digest";
    if (request->pyxis)
        argv[count++] = "--pyxis";
    for (char *const *option = request->options; option && *option; option++) {
        argv[count++] = "--option";
        argv[count++] = *option;
    }
}

static size_t count_options(const struct helper_request *request) {
    size_t count = 0;
    while (request->options && request->options[count])
        count++;
    return count;
}

int helper_run(const struct settings *settings, const struct helper_request *request,
               struct step_container *container, pid_t *helper, struct error *err) {
    char path[PATH_MAX];
    if (helper_path(settings, path, err) != 0)
        return -1;
    char directory[PATH_MAX];
    if (!getcwd(directory, sizeof directory))
        directory[0] = '\0';
    // What joins a container that runs asks for no image.
    cleanup_close int call = request->image[0] ? early_call_begin(settings->socket) : -1;
    char job[NUMBER_TEXT_MAX], step[NUMBER_TEXT_MAX], slurmstepd[NUMBER_TEXT_MAX], call_fd[NUMBER_TEXT_MAX];
    snprintf(job, sizeof job, "%u", request->job_id);
    snprintf(step, sizeof step, "%u", request->step_id);
    snprintf(slurmstepd, sizeof slurmstepd, "%d", (int)request->slurmstepd);
    snprintf(call_fd, sizeof call_fd, "%d", CALL_FD);

    const char *always[] = {"stowage-enter",
                            "--socket",
                            settings->socket,
                            "--trees",
                            settings->trees,
                            "--image",
                            request->image,
                            "--job",
                            job,
                            "--step",
                            step,
                            "--lifeline",
                            slurmstepd,
                            "--chdir",
                            directory,
                            "--environments",
                            settings->environments};
    cleanup_free const char **argv = calloc(ARGUMENTS_MAX + 2 * count_options(request), sizeof *argv);
    if (!argv)
        return error_errno(err, "cannot hold the command line of stowage-enter");
    memcpy(argv, always, sizeof always);
    add_arguments(argv, request, call >= 0 ? call_fd : NULL);
    cleanup_free char **environment = copy_pointers(request->environment);
    if (!environment)
        return error_errno(err, "cannot copy the environment");
    drop_loader_variables(environment);

    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return error_errno(err, "cannot make a socket for stowage-enter");
    cleanup_close int ours = ends[0];
    cleanup_close int theirs = ends[1];
    const struct launch launch = {
        .path = path, .argv = (char **)argv, .environment = environment, .reply = theirs, .call = call};
    pid_t pid = start_helper(&launch);
    if (pid < 0)
        return error_errno(err, "cannot start stowage-enter");
    close(steal_fd(&theirs));

    char *reply = container->environment;
    ssize_t length = read_all(ours, reply, sizeof container->environment, err);
    if (length > 0 && parse_reply(reply, (size_t)length, container, err) == 0) {
        *helper = pid;
        return 0;
    }
    if (length < 0)
        kill(pid, SIGKILL);
    int status = 0;
    if (wait_for(pid, &status) != 0)
        return error_errno(err, "lost track of stowage-enter");
    return length == 0 ? explain_death(status, err) : -1;
}

void helper_reap(pid_t helper) {
    int status;
    if (helper > 0)
        wait_for(helper, &status);
}
