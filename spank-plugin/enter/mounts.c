#include "mounts.h"
#include "bind_mount.h"
#include "cleanup.h"
#include "file_system.h"
#include "mount_flags.h"
#include "mount_target.h"
#include "tmpfs_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

// Only what is attached has its propagation for good: a shared mount makes what is attached below it shared.
static int set_propagation(const Stowage__V1__Mount *mount, int attached, struct error *err) {
    struct mount_attr attributes = {.propagation = mount_flags_propagation(mount)};
    unsigned flags = AT_EMPTY_PATH | (mount->propagation_recursive ? AT_RECURSIVE : 0);
    if (attributes.propagation != 0 &&
        mount_setattr(attached, "", flags, &attributes, sizeof attributes) != 0)
        return error_errno(err, "cannot set the propagation of the mount");
    return 0;
}

static int attach(int root, const Stowage__V1__Mount *mount, int source, struct error *err) {
    struct stat info, there;
    if (fstat(source, &info) != 0)
        return error_errno(err, "cannot look at '%s' on this node", mount->source);
    bool guarded = mount->origin[0] != '\0';
    cleanup_close int target = mount_target_make(root, mount->target, S_ISDIR(info.st_mode), guarded, err);
    if (target < 0)
        return -1;
    if (fstat(target, &there) != 0)
        return error_errno(err, "cannot look at it there");
    if (S_ISDIR(info.st_mode) != S_ISDIR(there.st_mode))
        return error_set(err, "only one of them is a directory");
    if (file_system_attach(source, target) != 0)
        return error_errno(err, "cannot put it there");
    return set_propagation(mount, source, err);
}

static int make_bind(int root, const Stowage__V1__Mount *mount, struct error *err) {
    cleanup_close int source = -1;
    if (bind_mount_make(mount, &source, err) != 0 || (source >= 0 && attach(root, mount, source, err) != 0))
        return error_wrap(err, "cannot mount '%s' on '%s' in the container", mount->source, mount->target);
    return 0;
}

static int make_tmpfs(int root, const Stowage__V1__Mount *mount, struct error *err) {
    cleanup_close int source = tmpfs_mount_make(mount, err);
    if (source < 0 || attach(root, mount, source, err) != 0)
        return error_wrap(err, "cannot mount a tmpfs on '%s' in the container", mount->target);
    return 0;
}

static int let_go(int mounted, struct error *err) {
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", mounted);
    if (umount2(link, MNT_DETACH) == 0)
        return 0;
    if (errno == EINVAL)
        return error_set(err, "it came together with a mount above it and goes only with that");
    return error_errno(err, "cannot let go of it");
}

// One mount may lie over another.
static int unmount(int root, const Stowage__V1__Mount *mount, struct error *err) {
    struct error none;
    cleanup_close int mounted = mount_target_find(root, mount->target, err);
    while (mounted >= 0 && let_go(mounted, err) == 0) {
        close(mounted);
        mounted = mount_target_find(root, mount->target, &none);
        if (mounted < 0)
            return 0;
    }
    return error_wrap(err, "cannot unmount '%s' in the container", mount->target);
}

static int make(int root, const Stowage__V1__Mount *mount, struct error *err) {
    switch (mount->kind) {
    case STOWAGE__V1__MOUNT__KIND__KIND_BIND_UNSPECIFIED:
        return make_bind(root, mount, err);
    case STOWAGE__V1__MOUNT__KIND__KIND_TMPFS:
        return make_tmpfs(root, mount, err);
    case STOWAGE__V1__MOUNT__KIND__KIND_UNMOUNT:
        return unmount(root, mount, err);
    default:
        return error_set(err, "stowaged asks for a mount on '%s' that stowage-enter does not know",
                         mount->target);
    }
}

int mounts_make(int root, Stowage__V1__Mount *const *mounts, size_t count, struct error *err) {
    for (size_t i = 0; i < count; i++) {
        if (make(root, mounts[i], err) == 0)
            continue;
        return mounts[i]->origin[0] == '\0' ? -1 : error_wrap(err, "%s", mounts[i]->origin);
    }
    return 0;
}
