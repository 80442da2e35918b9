#include "save.h"
#include "cleanup.h"
#include "save_program.h"
#include "save_view.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum {
    SAVER_LIFELINE,
    SAVER_GO,
    SAVER_UNUSED,
    SAVER_RESULT,
    SAVER_READY,
    SAVER_DIRECTORY,
    SAVER_FILE,
    SAVER_ROOT,
    SAVER_IMAGE,
    SAVER_COUNT,
};

int save_open(struct save *save, const struct options *options, const char *home, struct error *err) {
    const char *path = options_value(options, "save");
    const char *node = getenv("SLURM_NODEID");
    *save = (struct save){0};
    // All nodes would write the same file.
    if (!path || path[0] == '\0' || (node && strcmp(node, "0") != 0))
        return 0;
    save->wanted = true;
    bool in_home = path[0] == '~' && path[1] == '/';
    if (save_target_open(&save->target, in_home ? path + 2 : path,
                         in_home ? home : options->working_directory, err) != 0)
        return -1;
    return save_program_check(save->target.format, err);
}

// Closes everything but what is listed, each under the number that it is listed by; -1 stays out.
static int keep_alone(const int wanted[SAVER_COUNT]) {
    int copies[SAVER_COUNT];
    for (int i = 0; i < SAVER_COUNT; i++) {
        copies[i] = wanted[i] < 0 ? -1 : fcntl(wanted[i], F_DUPFD, SAVER_COUNT);
        if (wanted[i] >= 0 && copies[i] < 0)
            return -1;
    }
    for (int i = 0; i < SAVER_COUNT; i++) {
        if (copies[i] < 0)
            close(i);
        else if (dup3(copies[i], i, O_CLOEXEC) < 0)
            return -1;
    }
    return close_range(SAVER_COUNT, ~0U, 0);
}

// The bare root of a container that runs already: a clone of the mount that its processes have as /.
static int borrow_root(int inhabitant, struct error *err) {
    if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0 || setns(inhabitant, CLONE_NEWUSER) != 0 ||
        unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) != 0)
        return error_errno(err, "cannot join the container");
    cleanup_close int host = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (host < 0 || setns(inhabitant, CLONE_NEWNS) != 0)
        return error_errno(err, "cannot join the container");
    cleanup_close int root = open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (root < 0 || setns(host, CLONE_NEWNS) != 0)
        return error_errno(err, "cannot see the container's files without what is mounted over them");
    return steal_fd(&root);
}

static int own_root(const char *path, struct error *err) {
    if (unshare(CLONE_NEWNS) != 0)
        return error_errno(err, "cannot copy the host's mounts");
    int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return root >= 0 ? root : error_errno(err, "cannot open %s", path);
}

// An overlay takes a lower layer that is mounted where it is looked for.
static int attach(int root, const char *place, struct error *err) {
    if (move_mount(root, "", AT_FDCWD, place, MOVE_MOUNT_F_EMPTY_PATH) != 0)
        return error_errno(err, "cannot mount the container on %s", place);
    return 0;
}

static int find_root(const struct save_source *source, int *image, struct error *err) {
    cleanup_close int root =
        source->inhabitant >= 0 ? borrow_root(source->inhabitant, err) : own_root(source->root, err);
    if (root < 0)
        return -1;
    *image = source->image[0] ? open(source->image, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    if (source->inhabitant >= 0 && attach(root, source->place, err) != 0)
        return -1;
    return steal_fd(&root);
}

// How what is said of a failure begins.
static struct error failing(const struct save *save, const struct save_source *source) {
    struct error text;
    error_set(&text, "%s: --image-save: %s was not written", source->node, save->target.path);
    return text;
}

static void say(const struct save *save, const struct save_source *source, const struct error *err) {
    struct error line;
    error_set(&line, "stowage: %s: %s", failing(save, source).text, err->text);
    dprintf(SAVER_RESULT, "%s\n", line.text);
}

// Runs the program in a process of its own. Returns a pidfd.
static int start_program(const struct save *save, const struct save_source *source, pid_t *pid,
                         struct error *err) {
    *pid = fork();
    if (*pid < 0)
        return error_errno(err, "cannot start a process");
    if (*pid == 0) {
        struct error why;
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        // What it says goes the same way as the answer.
        dup2(SAVER_RESULT, STDERR_FILENO);
        cleanup_close int view =
            save_view_open(SAVER_ROOT, SAVER_IMAGE, source->account, source->place, &why);
        if (view >= 0)
            save_program_exec(save->target.format, view, SAVER_FILE, source->plan, failing(save, source).text,
                              &why);
        say(save, source, &why);
        _exit(SAVE_PROGRAM_EXPLAINED);
    }
    int process = pidfd_open(*pid, 0);
    return process >= 0 ? process : error_errno(err, "lost track of a process");
}

// Returns 0 if it ended well, 1 if it has said why it failed, -1 if not.
static int finish_program(pid_t pid, enum save_format format, struct error *err) {
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == SAVE_PROGRAM_EXPLAINED)
        return 1;
    return save_program_explain(format, status, err);
}

// Nobody waits for the file any more.
static bool is_called_off(struct pollfd watched[3]) {
    return watched[0].revents != 0 || (watched[1].revents & (POLLHUP | POLLERR));
}

static int save_now(struct save *save, const struct save_source *source) {
    struct error err;
    pid_t pid;
    cleanup_close int process = start_program(save, source, &pid, &err);
    if (process < 0) {
        say(save, source, &err);
        return -1;
    }
    struct pollfd watched[] = {
        {.fd = SAVER_LIFELINE, .events = POLLIN}, {.fd = SAVER_GO}, {.fd = process, .events = POLLIN}};
    while (watched[2].revents == 0) {
        if (poll(watched, 3, -1) > 0 && is_called_off(watched)) {
            kill(pid, SIGKILL);
            return -1;
        }
    }
    int ended = finish_program(pid, save->target.format, &err);
    if (ended == 0)
        ended = save_target_publish(&save->target, &err);
    if (ended < 0)
        say(save, source, &err);
    return ended;
}

// Whether the last rank has ended, rather than slurmstepd.
static bool wait_for_ranks(void) {
    struct pollfd watched[] = {{.fd = SAVER_LIFELINE, .events = POLLIN}, {.fd = SAVER_GO, .events = POLLIN}};
    char byte;
    while (poll(watched, 2, -1) < 0 && errno == EINTR)
        ;
    return watched[0].revents == 0 && read(SAVER_GO, &byte, 1) == 1;
}

// Until now this process could write to the pipe as well, so that it had an end while no rank did.
static int let_go(void) {
    int only_reading = open("/proc/self/fd/1", O_RDONLY | O_CLOEXEC);
    int result = only_reading >= 0 && dup3(only_reading, SAVER_GO, O_CLOEXEC) >= 0 ? 0 : -1;
    cleanup_close_fd(&only_reading);
    return result;
}

static void report_ready(const struct error *problem) {
    ssize_t written =
        problem ? write(SAVER_READY, problem->text, strlen(problem->text) + 1) : write(SAVER_READY, "", 1);
    if (written < 0)
        _exit(1);
    close(SAVER_READY);
}

static void run_saver(struct save *save, const struct save_source *source, int go, int result, int ready) {
    struct error err;
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    int image = -1;
    cleanup_close int root = find_root(source, &image, &err);
    const int wanted[SAVER_COUNT] = {
        [SAVER_LIFELINE] = source->lifeline,
        [SAVER_GO] = go,
        [SAVER_UNUSED] = -1,
        [SAVER_RESULT] = result,
        [SAVER_READY] = ready,
        [SAVER_DIRECTORY] = save->target.directory,
        [SAVER_FILE] = save->target.file,
        [SAVER_ROOT] = root,
        [SAVER_IMAGE] = image,
    };
    if (keep_alone(wanted) != 0)
        _exit(1);
    save->target.directory = SAVER_DIRECTORY;
    save->target.file = SAVER_FILE;
    prctl(PR_SET_NAME, "stowage-save", 0, 0, 0);
    report_ready(root < 0 ? &err : NULL);
    int saved = -1;
    if (root >= 0 && wait_for_ranks() && let_go() == 0)
        saved = save_now(save, source);
    save_target_abandon(&save->target);
    // In the end, so that a text that breaks off is no success.
    _exit(saved == 0 && write(SAVER_RESULT, "", 1) == 1 ? 0 : 1);
}

static int wait_until_ready(int ready, struct error *err) {
    char text[ERROR_TEXT_MAX];
    ssize_t got;
    while ((got = read(ready, text, sizeof text - 1)) < 0 && errno == EINTR)
        ;
    if (got == 1 && text[0] == '\0')
        return 0;
    text[got > 0 ? got : 0] = '\0';
    return error_set(err, "--image-save: %s", got > 0 ? text : "the process that is to save has ended");
}

// A pipe of which one descriptor reads and writes.
static int make_pipe(struct error *err) {
    int ends[2];
    char path[32];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_errno(err, "cannot make a pipe");
    cleanup_close int reading = ends[0], writing = ends[1];
    snprintf(path, sizeof path, "/proc/self/fd/%d", reading);
    int both = open(path, O_RDWR | O_CLOEXEC);
    return both >= 0 ? both : error_errno(err, "cannot open a pipe");
}

int save_start(struct save *save, const struct save_source *source, struct error *err) {
    int results[2], readies[2];
    if (!save->wanted)
        return 0;
    cleanup_close int go = make_pipe(err);
    if (go < 0)
        return -1;
    if (pipe2(results, O_CLOEXEC) != 0)
        return error_errno(err, "cannot make a pipe");
    cleanup_close int result = results[1], result_out = results[0];
    if (pipe2(readies, O_CLOEXEC) != 0)
        return error_errno(err, "cannot make a pipe");
    cleanup_close int ready = readies[0], ready_in = readies[1];
    pid_t pid = fork();
    if (pid < 0)
        return error_errno(err, "cannot start the process that saves the container");
    if (pid == 0)
        run_saver(save, source, go, result, ready_in);
    close(steal_fd(&ready_in));
    if (wait_until_ready(ready, err) != 0)
        return -1;
    save->saver = pid;
    return 0;
}

void save_abandon(struct save *save) {
    if (save->saver > 0) {
        kill(save->saver, SIGKILL);
        while (waitpid(save->saver, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    save_target_abandon(&save->target);
}
