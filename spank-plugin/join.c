#include "join.h"
#include "cleanup.h"

#include <sched.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <unistd.h>

int join_container(pid_t holder, const char *working_directory, int *pidfd, struct error *err) {
    cleanup_close int target = pidfd_open(holder, 0);
    if (target < 0)
        return error_errno(err, "the process that keeps the container is gone");
    if (setns(target, CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return error_errno(err, "cannot join the container's namespaces");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return error_errno(err, "cannot set no_new_privs");
    if (chdir(working_directory) != 0)
        return error_errno(err, "cannot change to %s in the container", working_directory);
    *pidfd = steal_fd(&target);
    return 0;
}
