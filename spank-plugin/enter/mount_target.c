#include "mount_target.h"
#include "cleanup.h"
#include "in_root.h"
#include "path_prefix.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

static int name_of(int fd, char name[PATH_MAX]) {
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, name, PATH_MAX - 1);
    if (length < 0)
        return -1;
    name[length] = '\0';
    return 0;
}

// `inside` receives what `fd` is called inside the root; "" is the root itself.
static int locate(int root, int fd, char inside[PATH_MAX], struct error *err) {
    char above[PATH_MAX], path[PATH_MAX];
    if (name_of(root, above) != 0 || name_of(fd, path) != 0)
        return error_errno(err, "cannot tell where it is");
    if (!is_at_or_below(path, above))
        return error_set(err, "it is not in the container");
    strcpy(inside, path + strlen(above));
    return 0;
}

static int refuse_kernels(int root, int fd, struct error *err) {
    char inside[PATH_MAX];
    struct statfs info;
    if (locate(root, fd, inside, err) != 0)
        return -1;
    if (fstatfs(fd, &info) != 0)
        return error_errno(err, "cannot look at it");
    if (is_at_or_below(inside, "/proc") || is_at_or_below(inside, "/sys") ||
        info.f_type == PROC_SUPER_MAGIC || info.f_type == SYSFS_MAGIC)
        return error_set(err, "/proc and /sys are the kernel's; name another place");
    return 0;
}

static int refuse_root(int root, int fd, struct error *err) {
    char inside[PATH_MAX];
    if (locate(root, fd, inside, err) != 0)
        return -1;
    return inside[0] != '\0' ? 0 : error_set(err, "it is the root directory; name a directory below it");
}

// What is there of a path on the way to its end. Nothing is made for a place that is refused then.
static int open_existing(int root, const char *path) {
    char prefix[PATH_MAX];
    snprintf(prefix, sizeof prefix, "%s", path);
    int found;
    while ((found = in_root_open(root, prefix, O_PATH)) < 0) {
        char *slash = strrchr(prefix, '/');
        if (!slash || slash == prefix)
            return -1;
        *slash = '\0';
    }
    return found;
}

static int check_way(int root, const char *path, struct error *err) {
    cleanup_close int existing = open_existing(root, path);
    return existing < 0 ? 0 : refuse_kernels(root, existing, err);
}

static int check(int root, int target, struct error *err) {
    return refuse_root(root, target, err) == 0 ? refuse_kernels(root, target, err) : -1;
}

int mount_target_make(int root, const char *path, bool directory, bool guarded, struct error *err) {
    if (guarded && check_way(root, path, err) != 0)
        return -1;
    cleanup_close int target =
        directory ? in_root_make_directory(root, path, err) : in_root_make_file(root, path, err);
    if (target < 0 || (guarded && check(root, target, err) != 0))
        return -1;
    return steal_fd(&target);
}

int mount_target_find(int root, const char *path, struct error *err) {
    cleanup_close int target = in_root_open(root, path, O_PATH);
    struct statx info;
    if (target < 0 && errno == ENOENT)
        return error_set(err, "there is no such file or directory");
    if (target < 0)
        return error_errno(err, "cannot open it");
    if (check(root, target, err) != 0)
        return -1;
    if (statx(target, "", AT_EMPTY_PATH, STATX_TYPE, &info) != 0)
        return error_errno(err, "cannot look at it");
    if (!(info.stx_attributes & STATX_ATTR_MOUNT_ROOT))
        return error_set(err, "nothing is mounted there");
    return steal_fd(&target);
}
