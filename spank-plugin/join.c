#include "join.h"
#include "cleanup.h"
#include "countdown.h"
#include "rank_lock.h"
#include "root_emulation.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>

enum { LOCK_MILLISECONDS = 10 * 1000 };

int join_open_holder(const struct step_container *container, struct error *err) {
    int holder = pidfd_open(container->holder, 0);
    return holder >= 0 ? holder : error_errno(err, "the process that keeps the container is gone");
}

int join_container(const struct step_container *container, int holder, struct error *err) {
    // That the tree is in use is told by the mount tables of processes. One that may not be dumped, as a rank
    // before its exec, hides its table where /proc is mounted with hidepid; so until then the lock speaks for
    // it.
    bool has_lock = container->tree_lock[0] != '\0';
    cleanup_close int lock = has_lock ? rank_lock_take(container->tree_lock, LOCK_MILLISECONDS, err) : -1;
    if (has_lock && lock < 0)
        return -1;
    const struct step_entry *entry = &container->entry;
    int namespaces = CLONE_NEWUSER | CLONE_NEWNS | (entry->net ? CLONE_NEWNET : 0) |
                     (entry->ipc ? CLONE_NEWIPC : 0) | (entry->uts ? CLONE_NEWUTS : 0);
    if (setns(holder, namespaces) != 0)
        return errno == ESRCH ? error_set(err, "the process that keeps the container was killed")
                              : error_errno(err, "cannot join the container's namespaces");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return error_errno(err, "cannot set no_new_privs");
    if (chdir(container->working_directory) != 0)
        return error_errno(err, "cannot change to %s in the container", container->working_directory);
    if (entry->root && root_emulation_start(err) != 0)
        return -1;
    steal_fd(&lock);
    return 0;
}

void join_release_holder(const struct step_container *container, int holder, int countdown) {
    if (countdown_is_last(countdown) && !container->entry.keep_holder)
        pidfd_send_signal(holder, SIGKILL, NULL, 0);
}
