#include "named_join.h"
#include "cleanup.h"
#include "in_root.h"
#include "path_prefix.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>

// A mount of the plan on its way from the host's namespace to the container's.
struct carried {
    int fd;
    struct stat info;
};

// What users asked for is there already, and the kernel's file systems are the container's own.
static bool may_be_missing(const Stowage__V1__Mount *mount) {
    static const char *const KERNEL[] = {"/proc", "/sys", "/dev"};
    if (mount->kind != STOWAGE__V1__MOUNT__KIND__KIND_BIND_UNSPECIFIED || mount->origin[0] != '\0')
        return false;
    for (size_t i = 0; i < sizeof KERNEL / sizeof *KERNEL; i++) {
        if (is_at_or_below(mount->target, KERNEL[i]))
            return false;
    }
    return true;
}

static int pick_up(const Stowage__V1__Mount *mount, struct carried *carried, struct error *err) {
    carried->fd = -1;
    if (!may_be_missing(mount))
        return 0;
    cleanup_close int fd =
        open_tree(AT_FDCWD, mount->source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    if (fd < 0 && mount->optional && (errno == ENOENT || errno == EACCES || errno == ENOTDIR))
        return 0;
    struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};
    if (fd < 0 || fstat(fd, &carried->info) != 0 ||
        (mount->read_only &&
         mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &read_only, sizeof read_only) != 0))
        return error_errno(err, "cannot show '%s' of this node in the container", mount->source);
    carried->fd = steal_fd(&fd);
    return 0;
}

static bool is_there(int root, const Stowage__V1__Mount *mount, const struct stat *wanted) {
    struct stat there;
    cleanup_close int fd = in_root_open(root, mount->target, O_PATH);
    return fd >= 0 && fstat(fd, &there) == 0 && there.st_dev == wanted->st_dev &&
           there.st_ino == wanted->st_ino;
}

static int put_down(int root, const Stowage__V1__Mount *mount, const struct carried *carried,
                    struct error *err) {
    if (carried->fd < 0 || is_there(root, mount, &carried->info))
        return 0;
    cleanup_close int target = S_ISDIR(carried->info.st_mode)
                                   ? in_root_make_directory(root, mount->target, err)
                                   : in_root_make_file(root, mount->target, err);
    if (target < 0)
        return -1;
    if (move_mount(carried->fd, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0)
        return error_errno(err, "cannot mount '%s' of this node in the container", mount->source);
    return 0;
}

static int enter(int inhabitant, int namespaces, struct error *err) {
    if (setns(inhabitant, namespaces) != 0)
        return error_errno(err, "cannot join the container, which may have ended just now; try again");
    return 0;
}

static int carry_mounts(int inhabitant, int namespaces, const Stowage__V1__ContainerPlan *plan,
                        struct carried *carried, struct error *err) {
    for (size_t i = 0; i < plan->n_mounts; i++) {
        if (pick_up(plan->mounts[i], &carried[i], err) != 0)
            return -1;
    }
    if (enter(inhabitant, namespaces, err) != 0)
        return -1;
    cleanup_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return error_errno(err, "cannot open the container's root directory");
    for (size_t i = 0; i < plan->n_mounts; i++) {
        if (put_down(root, plan->mounts[i], &carried[i], err) != 0)
            return -1;
    }
    return 0;
}

int named_join(int inhabitant, const struct step_entry *entry, const Stowage__V1__ContainerPlan *plan,
               struct error *err) {
    int namespaces = CLONE_NEWNS | (entry->net ? CLONE_NEWNET : 0) | (entry->ipc ? CLONE_NEWIPC : 0) |
                     (entry->uts ? CLONE_NEWUTS : 0);
    // As in namespace_enter().
    if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0)
        return error_errno(err, "cannot become dumpable");
    if (enter(inhabitant, CLONE_NEWUSER, err) != 0)
        return -1;
    // A copy of the host's mounts that belongs to the container's user namespace: only such can be cloned.
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) != 0)
        return error_errno(err, "cannot copy the host's mounts");
    cleanup_free struct carried *carried = calloc(plan->n_mounts + 1, sizeof *carried);
    if (!carried)
        return error_errno(err, "cannot hold the mounts");
    for (size_t i = 0; i < plan->n_mounts; i++)
        carried[i].fd = -1;
    int result = carry_mounts(inhabitant, namespaces, plan, carried, err);
    for (size_t i = 0; i < plan->n_mounts; i++)
        cleanup_close_fd(&carried[i].fd);
    return result;
}
