#include "holder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

static void hold(int lifeline) {
    // The ranks' output ends when the last descriptor of it is closed: this one must not be the last.
    dup2(lifeline, STDIN_FILENO);
    close_range(STDIN_FILENO + 1, ~0U, 0);
    prctl(PR_SET_NAME, "stowage-hold", 0, 0, 0);
    struct pollfd ended = {.fd = STDIN_FILENO, .events = POLLIN};
    while (poll(&ended, 1, -1) < 0 && errno == EINTR)
        ;
    _exit(0);
}

int holder_start(int lifeline, pid_t *holder, struct error *err) {
    pid_t pid = fork();
    if (pid < 0)
        return error_errno(err, "cannot start the process that keeps the container");
    if (pid == 0)
        hold(lifeline);
    *holder = pid;
    return 0;
}
