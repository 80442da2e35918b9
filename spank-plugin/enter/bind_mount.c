#include "bind_mount.h"
#include "cleanup.h"
#include "in_root.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/stat.h>

static int make_target(int root, const char *target, bool directory, struct error *err) {
    return directory ? in_root_make_directory(root, target, err) : in_root_make_file(root, target, err);
}

static int bind_mount(int root, const Stowage__V1__Mount *mount, struct error *err) {
    cleanup_close int source =
        open_tree(AT_FDCWD, mount->source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    if (source < 0) {
        if (mount->optional && (errno == ENOENT || errno == EACCES || errno == ENOTDIR))
            return 0;
        return error_errno(err, "cannot open '%s' on this node", mount->source);
    }
    struct stat info;
    if (fstat(source, &info) != 0)
        return error_errno(err, "cannot look at '%s' on this node", mount->source);
    struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};
    if (mount->read_only &&
        mount_setattr(source, "", AT_EMPTY_PATH | AT_RECURSIVE, &read_only, sizeof read_only) != 0)
        return error_errno(err, "cannot make '%s' read-only", mount->source);

    cleanup_close int target = make_target(root, mount->target, S_ISDIR(info.st_mode), err);
    if (target < 0)
        return -1;
    struct stat there;
    if (fstat(target, &there) != 0)
        return error_errno(err, "cannot look at it there");
    if (S_ISDIR(info.st_mode) != S_ISDIR(there.st_mode))
        return error_set(err, "only one of them is a directory");
    if (move_mount(source, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0)
        return error_errno(err, "cannot put it there");
    return 0;
}

int bind_mounts(int root, const Stowage__V1__ContainerPlan *plan, struct error *err) {
    for (size_t i = 0; i < plan->n_mounts; i++) {
        const Stowage__V1__Mount *mount = plan->mounts[i];
        if (bind_mount(root, mount, err) != 0)
            return error_wrap(err, "cannot mount '%s' on '%s' in the container", mount->source,
                              mount->target);
    }
    return 0;
}
