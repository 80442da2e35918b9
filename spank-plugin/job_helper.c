#include "job_helper.h"
#include "cleanup.h"
#include "detached_exec.h"
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

enum {
    // The first descriptor after the standard ones.
    READY_FD = 3,
    READY_WAIT_MS = 1000,
    SWEEP_WAIT_MS = 10000,
    NUMBER_TEXT_MAX = 16,
};

static int wait_for(pid_t pid, int *status) {
    pid_t waited;
    do
        waited = waitpid(pid, status, 0);
    while (waited < 0 && errno == EINTR);
    return waited == pid ? 0 : -1;
}

// What the program said last, as one line. Names of the user's files may be in it.
static void read_reason(int said, char *reason, size_t size) {
    ssize_t length = read(said, reason, size - 1);
    reason[length > 0 ? length : 0] = '\0';
    reason[strcspn(reason, "\n")] = '\0';
    for (char *at = reason; *at; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
    }
}

int job_helper_sweep(const struct settings *settings, uint32_t job_id, uid_t uid, gid_t gid,
                     struct error *err) {
    char path[PATH_MAX];
    char job[NUMBER_TEXT_MAX];
    int ends[2];
    snprintf(job, sizeof job, "%u", job_id);
    const char *argv[] = {"stowage-enter", "--trees", settings->trees, "--sweep", "--job", job, NULL};
    char *environment[] = {NULL};
    if (helper_path(settings, path, err) != 0)
        return -1;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return error_errno(err, "cannot make a pipe for stowage-enter");
    cleanup_close int said = ends[0], theirs = ends[1];
    pid_t pid = fork();
    if (pid < 0)
        return error_errno(err, "cannot start stowage-enter");
    if (pid == 0)
        detached_exec(&(struct detached_program){.path = path,
                                                 .argv = (char **)argv,
                                                 .environment = environment,
                                                 .uid = uid,
                                                 .gid = gid,
                                                 .kept = theirs,
                                                 .kept_as = STDERR_FILENO});

    cleanup_close int pidfd = pidfd_open(pid, 0);
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    int ready = pidfd < 0 ? 1 : poll(&ended, 1, SWEEP_WAIT_MS);
    if (ready <= 0)
        return 0;
    int status = 0;
    if (wait_for(pid, &status) == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    char reason[ERROR_TEXT_MAX / 2];
    read_reason(said, reason, sizeof reason);
    return error_set(err, "the trees in %s/%u could not be removed: %s", settings->trees, (unsigned)uid,
                     reason[0] ? reason : "stowage-enter did not say why");
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
            detached_exec(&(struct detached_program){.path = path,
                                                     .argv = (char **)argv,
                                                     .environment = environment,
                                                     .uid = uid,
                                                     .gid = gid,
                                                     .kept = theirs,
                                                     .kept_as = READY_FD});
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
