#include "namespace.h"
#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>

static int write_text(const char *path, const char *text, struct error *err) {
    cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        return error_errno(err, "cannot write '%s' to %s", text, path);
    return 0;
}

static int explain_refusal(struct error *err) {
    if (errno == ENOSPC)
        return error_set(err, "this node allows no more user namespaces; the administrators must raise "
                              "user.max_user_namespaces (sysctl)");
    return error_set(err,
                     "this node does not allow user namespaces (%s); the administrators must set "
                     "user.max_user_namespaces and, where they exist, kernel.unprivileged_userns_clone=1 and "
                     "kernel.apparmor_restrict_unprivileged_userns=0 (sysctl)",
                     strerror(errno));
}

// The kernel takes the working directory along into the copy of the mounts (unshare(2)), and nothing else.
static int arrive(int *carried, struct error *err) {
    int arrived = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (arrived < 0)
        return error_errno(err, "cannot open the image's directory once more");
    close(*carried);
    *carried = arrived;
    return 0;
}

// A process may map its own group only after it gave up changing its groups (user_namespaces(7)).
static int write_maps(uid_t uid, gid_t gid, bool as_root, struct error *err) {
    char uid_map[64], gid_map[64];
    snprintf(uid_map, sizeof uid_map, "%u %u 1", as_root ? 0 : uid, uid);
    snprintf(gid_map, sizeof gid_map, "%u %u 1", as_root ? 0 : gid, gid);
    if (write_text("/proc/self/setgroups", "deny", err) != 0 ||
        write_text("/proc/self/uid_map", uid_map, err) != 0)
        return -1;
    return write_text("/proc/self/gid_map", gid_map, err);
}

// A network namespace begins with nothing but a loopback interface that is down.
static int bring_loopback_up(struct error *err) {
    struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    cleanup_close int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (any < 0 || ioctl(any, SIOCSIFFLAGS, &loopback) != 0)
        return error_errno(err, "cannot bring up the loopback interface of the step's network");
    return 0;
}

static int enter_further(const struct step_entry *entry, struct error *err) {
    int further =
        (entry->net ? CLONE_NEWNET : 0) | (entry->ipc ? CLONE_NEWIPC : 0) | (entry->uts ? CLONE_NEWUTS : 0);
    if (further != 0 && unshare(further) != 0)
        return error_errno(err, "this node does not allow the namespaces of --image-unshare; the "
                                "administrators must raise user.max_net_namespaces, user.max_ipc_namespaces "
                                "and user.max_uts_namespaces (sysctl)");
    return entry->net ? bring_loopback_up(err) : 0;
}

int namespace_enter(int *carried, const struct step_entry *entry, struct error *err) {
    uid_t uid = geteuid();
    gid_t gid = getegid();
    // The program is installed so that nobody can read it, and therefore nobody can trace it: see
    // install.mjs. For the maps below and for the ranks that join, this process must be one that its user may
    // look at.
    if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0)
        return error_errno(err, "cannot become dumpable");
    if (*carried >= 0 && fchdir(*carried) != 0)
        return error_errno(err, "cannot change to the image's directory");
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return explain_refusal(err);
    if (write_maps(uid, gid, entry->root, err) != 0 || enter_further(entry, err) != 0)
        return -1;
    // Slave rather than private: a file system that the host mounts later, by automount for example, appears.
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) != 0)
        return error_errno(err, "cannot detach from the host's mounts");
    return *carried >= 0 ? arrive(carried, err) : 0;
}
