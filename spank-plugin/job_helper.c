#include "job_helper.h"
#include "become_user.h"
#include "cleanup.h"
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

enum {
    // The first descriptor after the standard ones.
    READY_FD = 3,
    READY_WAIT_MS = 1000,
    SWEEP_WAIT_MS = 10000,
    NUMBER_TEXT_MAX = 16,
    EXIT_NOT_EXECUTED = 127,
};

static int wait_for(pid_t pid, int *status) {
    pid_t waited;
    do
        waited = waitpid(pid, status, 0);
    while (waited < 0 && errno == EINTR);
    return waited == pid ? 0 : -1;
}

static void exec_sweep(const char *path, const char *trees, const char *job, uid_t uid, gid_t gid) {
    const char *argv[] = {"stowage-enter", "--trees", trees, "--sweep", "--job", job, NULL};
    char *environment[] = {NULL};
    if (become_user(uid, gid) != 0)
        _exit(EXIT_NOT_EXECUTED);
    close_range(STDERR_FILENO + 1, ~0U, 0);
    execve(path, (char **)argv, environment);
    _exit(EXIT_NOT_EXECUTED);
}

int job_helper_sweep(const struct settings *settings, uint32_t job_id, uid_t uid, gid_t gid,
                     struct error *err) {
    char path[PATH_MAX];
    char job[NUMBER_TEXT_MAX];
    snprintf(job, sizeof job, "%u", job_id);
    if (helper_path(settings, path, err) != 0)
        return -1;
    pid_t pid = fork();
    if (pid < 0)
        return error_errno(err, "cannot start stowage-enter");
    if (pid == 0)
        exec_sweep(path, settings->trees, job, uid, gid);

    cleanup_close int pidfd = pidfd_open(pid, 0);
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    int ready = pidfd < 0 ? 1 : poll(&ended, 1, SWEEP_WAIT_MS);
    if (ready <= 0)
        return 0;
    int status = 0;
    if (wait_for(pid, &status) != 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return error_set(err, "stowage-enter could not remove the trees in %s/%u", settings->trees,
                         (unsigned)uid);
    return 0;
}

// Leaves open what says that the program is ready, and nothing else.
static int keep_ready_alone(int ready) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int standard = STDIN_FILENO; standard <= STDERR_FILENO; standard++) {
        if (dup2(null, standard) < 0)
            return -1;
    }
    // A descriptor that has the number already would keep its O_CLOEXEC.
    int copy = fcntl(ready, F_DUPFD, READY_FD + 1);
    if (copy < 0 || dup2(copy, READY_FD) < 0)
        return -1;
    close_range(READY_FD + 1, ~0U, 0);
    return 0;
}

static void exec_prefetch(const char *path, const char **argv, char **environment, int ready, uid_t uid,
                          gid_t gid) {
    sigset_t none;
    sigemptyset(&none);
    if (become_user(uid, gid) != 0 || keep_ready_alone(ready) != 0 || chdir("/") != 0 ||
        sigprocmask(SIG_SETMASK, &none, NULL) != 0)
        _exit(EXIT_NOT_EXECUTED);
    execve(path, (char **)argv, environment);
    _exit(EXIT_NOT_EXECUTED);
}

int job_helper_prefetch(const struct settings *settings, const char *image, enum pull_policy pull,
                        uint32_t job_id, uid_t uid, gid_t gid, struct error *err) {
    char path[PATH_MAX];
    char job[NUMBER_TEXT_MAX];
    char node[300] = "";
    int ends[2];
    snprintf(job, sizeof job, "%u", job_id);
    if (getenv("SLURMD_NODENAME"))
        snprintf(node, sizeof node, "SLURMD_NODENAME=%s", getenv("SLURMD_NODENAME"));
    const char *argv[] = {"stowage-enter",
                          "--socket",
                          settings->socket,
                          "--trees",
                          settings->trees,
                          "--image",
                          image,
                          "--job",
                          job,
                          "--environments",
                          settings->environments,
                          "--prefetch",
                          pull == PULL_OF_SITE ? NULL : "--pull",
                          pull_policy_name(pull),
                          NULL};
    char *environment[] = {node[0] ? node : NULL, NULL};
    if (helper_path(settings, path, err) != 0)
        return -1;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_errno(err, "cannot make a pipe for stowage-enter");
    cleanup_close int ready = ends[0], theirs = ends[1];
    // slurmd kills the process group of a prolog that has ended.
    pid_t pid = fork();
    if (pid == 0) {
        if (setsid() >= 0 && fork() == 0)
            exec_prefetch(path, argv, environment, theirs, uid, gid);
        _exit(0);
    }
    close(steal_fd(&theirs));
    int status;
    if (pid < 0 || wait_for(pid, &status) != 0)
        return error_errno(err, "cannot start stowage-enter");
    struct pollfd closed = {.fd = ready, .events = POLLIN};
    poll(&closed, 1, READY_WAIT_MS);
    return 0;
}
