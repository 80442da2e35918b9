#include "descriptor_keeper.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void keep(pid_t parent) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() == parent && syscall(SYS_capset, &header, none) == 0) {
        // Ready.
        raise(SIGSTOP);
        for (;;)
            pause();
    }
    _exit(1);
}

int descriptor_keeper_start(struct descriptor_keeper *keeper, struct error *err) {
    pid_t self = getpid();
    pid_t pid = fork();
    if (pid < 0)
        return error_errno(err, "cannot start a process that keeps descriptors");
    if (pid == 0)
        keep(self);
    keeper->pid = pid;
    int status = 0;
    while (waitpid(pid, &status, WUNTRACED) < 0 && errno == EINTR)
        ;
    return WIFSTOPPED(status) ? 0 : error_set(err, "the process that keeps descriptors has ended");
}

void descriptor_keeper_path(const struct descriptor_keeper *keeper, int fd, char path[KEPT_PATH_MAX]) {
    snprintf(path, KEPT_PATH_MAX, "/proc/%d/fd/%d", (int)keeper->pid, fd);
}

void descriptor_keeper_end(struct descriptor_keeper *keeper) {
    kill(keeper->pid, SIGKILL);
    while (waitpid(keeper->pid, NULL, 0) < 0 && errno == EINTR)
        ;
}
