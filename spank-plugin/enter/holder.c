#include "holder.h"
#include "cleanup.h"
#include "running_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

enum {
    HELD_LIFELINE,
    HELD_RUNNING,
    HELD_READY,
    HELD_COUNT,
};

// Puts the descriptors where they belong and closes all others. The ranks' output ends when the last
// descriptor of it is closed: this process must not have it.
static int keep_alone(int lifeline, int running, int ready) {
    const int wanted[HELD_COUNT] = {
        [HELD_LIFELINE] = lifeline, [HELD_RUNNING] = running, [HELD_READY] = ready};
    int copies[HELD_COUNT];
    for (int i = 0; i < HELD_COUNT; i++) {
        copies[i] = fcntl(wanted[i] >= 0 ? wanted[i] : lifeline, F_DUPFD, HELD_COUNT);
        if (copies[i] < 0)
            return -1;
    }
    for (int i = 0; i < HELD_COUNT; i++) {
        if (dup2(copies[i], i) < 0)
            return -1;
    }
    return close_range(HELD_COUNT, ~0U, 0);
}

// What is sent to all processes of a step is meant for its ranks.
static void ignore_signals(void) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
}

static void hold(int lifeline, int running, int ready) {
    ignore_signals();
    if (keep_alone(lifeline, running, ready) != 0)
        _exit(1);
    // Only now: to close any descriptor of the file would give the lock up.
    if (running >= 0 && running_lock_take(HELD_RUNNING) != 0)
        _exit(1);
    if (running >= 0 && write(HELD_READY, "", 1) != 1)
        _exit(1);
    close(HELD_READY);
    prctl(PR_SET_NAME, "stowage-hold", 0, 0, 0);
    struct pollfd ended = {.fd = HELD_LIFELINE, .events = POLLIN};
    while (poll(&ended, 1, -1) < 0 && errno == EINTR)
        ;
    _exit(0);
}

static int wait_until_ready(int ready, struct error *err) {
    char byte;
    ssize_t got;
    while ((got = read(ready, &byte, 1)) < 0 && errno == EINTR)
        ;
    return got == 1 ? 0 : error_set(err, "the process that keeps the container has ended; try again");
}

int holder_start(int lifeline, int running, pid_t *holder, struct error *err) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_errno(err, "cannot make a pipe");
    cleanup_close int ready = ends[0], theirs = ends[1];
    pid_t pid = fork();
    if (pid < 0)
        return error_errno(err, "cannot start the process that keeps the container");
    if (pid == 0)
        hold(lifeline, running, theirs);
    close(steal_fd(&theirs));
    // It is in the namespaces from its first moment; only the lock takes another.
    if (running >= 0 && wait_until_ready(ready, err) != 0)
        return -1;
    *holder = pid;
    return 0;
}
