#include "confine.h"
#include "cleanup.h"
#include "syscall_filter.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum { ADDRESS_SPACE_BYTES = 2000 << 20 };

static int cannot(struct error *err, const char *what) {
    return error_errno(err, "cannot confine stowage-squashfuse: %s", what);
}

static int keep_descriptors(int image, int device, struct error *err) {
    const int first = image < device ? image : device;
    const int second = image < device ? device : image;
    if (first <= STDERR_FILENO)
        return error_set(err, "the image and /dev/fuse must not be open as standard descriptors");
    close_range(0, STDERR_FILENO - 1, 0);
    if (first > STDERR_FILENO + 1)
        close_range(STDERR_FILENO + 1, (unsigned)first - 1, 0);
    if (second > first + 1)
        close_range((unsigned)first + 1, (unsigned)second - 1, 0);
    close_range((unsigned)second + 1, ~0U, 0);
    return 0;
}

static int write_text(const char *path, const char *text, struct error *err) {
    cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        return cannot(err, path);
    return 0;
}

static int enter_namespaces(struct error *err) {
    const uid_t uid = geteuid();
    const gid_t gid = getegid();
    char map[64];
    // Where the program cannot be read, its /proc files are root's until it is dumpable.
    if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0 ||
        unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0)
        return cannot(err, "make namespaces");
    if (write_text("/proc/self/setgroups", "deny", err) != 0)
        return -1;
    snprintf(map, sizeof map, "%u %u 1", uid, uid);
    if (write_text("/proc/self/uid_map", map, err) != 0)
        return -1;
    snprintf(map, sizeof map, "%u %u 1", gid, gid);
    return write_text("/proc/self/gid_map", map, err);
}

// Any directory does for a mount point; that one has just been used.
static int pivot_into_nothing(struct error *err) {
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", "/proc", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0") != 0)
        return cannot(err, "make an empty root directory");
    // pivot_root(".", ".") stacks the old root upon the new one, and the detach takes it off again.
    if (chdir("/proc") != 0 || syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0 ||
        chdir("/") != 0)
        return cannot(err, "enter the empty root directory");
    return 0;
}

static int drop_capabilities(struct error *err) {
    for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++) {
        if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0)
            return cannot(err, "drop capabilities");
    }
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    const struct __user_cap_data_struct none[2] = {0};
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 ||
        syscall(SYS_capset, &header, none) != 0)
        return cannot(err, "drop capabilities");
    return 0;
}

static int set_limit(int resource, rlim_t value, struct error *err) {
    struct rlimit limit;
    if (getrlimit(resource, &limit) != 0)
        return cannot(err, "read a resource limit");
    if (limit.rlim_max > value)
        limit.rlim_max = value;
    if (limit.rlim_cur > limit.rlim_max)
        limit.rlim_cur = limit.rlim_max;
    return setrlimit(resource, &limit) == 0 ? 0 : cannot(err, "set a resource limit");
}

static int set_limits(struct error *err) {
    if (set_limit(RLIMIT_CORE, 0, err) != 0 || set_limit(RLIMIT_FSIZE, 0, err) != 0)
        return -1;
#ifndef __SANITIZE_ADDRESS__
    if (set_limit(RLIMIT_NOFILE, 0, err) != 0 || set_limit(RLIMIT_AS, ADDRESS_SPACE_BYTES, err) != 0)
        return -1;
#endif
    return 0;
}

// Slurm sends signals meant for the ranks, such as that of sbatch --signal, to every process of the step. A
// rank that cleans up after SIGTERM still needs its files.
static void ignore_signals(void) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
}

int confine(int image, int device, struct error *err) {
    if (keep_descriptors(image, device, err) != 0 || enter_namespaces(err) != 0 ||
        pivot_into_nothing(err) != 0 || drop_capabilities(err) != 0 || set_limits(err) != 0)
        return -1;
    setsid();
    ignore_signals();
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return cannot(err, "give up new privileges");
    return syscall_filter_install(err);
}
