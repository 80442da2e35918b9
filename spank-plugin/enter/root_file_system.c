#include "root_file_system.h"
#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static int make(int base, const char *name, mode_t mode) {
    return mkdirat(base, name, mode) != 0 && errno != EEXIST ? -1 : 0;
}

static int make_upper(int base, mode_t mode) {
    if (mkdirat(base, "upper", 0755) != 0)
        return errno == EEXIST ? 0 : -1;
    // The attributes of an overlay's root are those of the upper layer.
    return fchmodat(base, "upper", mode, 0);
}

static int make_layers(const char *lower, const char *mount_point, struct error *err) {
    struct stat info;
    if (stat(lower, &info) != 0)
        return error_errno(err, "cannot look at the image in %s", lower);
    cleanup_close int base = open(mount_point, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (base < 0 || make_upper(base, info.st_mode & 0777) != 0 || make(base, "work", 0700) != 0 ||
        make(base, "root", 0755) != 0)
        return error_errno(err, "cannot make the writable layer in %s", mount_point);
    return 0;
}

int root_mount(const char *lower, const char *mount_point, struct error *err) {
    if (mount("stowage", mount_point, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700") != 0)
        return error_errno(err, "cannot mount a tmpfs for the step's writable layer");
    return root_mount_kept(lower, mount_point, err);
}

int root_mount_kept(const char *lower, const char *mount_point, struct error *err) {
    if (make_layers(lower, mount_point, err) != 0)
        return -1;

    char root[PATH_MAX];
    char options[4 * PATH_MAX];
    snprintf(root, sizeof root, "%s/root", mount_point);
    // userxattr: an overlay of an unprivileged user keeps its marks in user.overlay.* (Linux 5.11).
    int length = snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s/upper,workdir=%s/work,userxattr",
                          lower, mount_point, mount_point);
    if (length >= (int)sizeof options)
        return error_set(err, "the path of the tree store is too long");
    if (mount("stowage", root, "overlay", MS_NOSUID | MS_NODEV, options) != 0)
        return error_errno(err, "cannot mount an overlay (%s); it takes Linux 5.11 or later", options);
    int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 ? fd : error_errno(err, "cannot open %s", root);
}

int root_make_read_only(int root, struct error *err) {
    struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};
    if (mount_setattr(root, "", AT_EMPTY_PATH, &read_only, sizeof read_only) != 0)
        return error_errno(err, "cannot make the root directory read-only");
    return 0;
}

int root_pivot(int root, struct error *err) {
    // With both arguments ".", the old root ends up on top of the new one and is let go at once
    // (pivot_root(2)).
    if (fchdir(root) != 0 || syscall(SYS_pivot_root, ".", ".") != 0)
        return error_errno(err, "cannot change the root directory (pivot_root)");
    if (umount2(".", MNT_DETACH) != 0 || chdir("/") != 0)
        return error_errno(err, "cannot let go of the host's root directory");
    return 0;
}
