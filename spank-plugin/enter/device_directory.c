#include "device_directory.h"
#include "cleanup.h"
#include "in_root.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

static int copy_symlink(int from, int to, const char *name) {
    char target[PATH_MAX];
    ssize_t length = readlinkat(from, name, target, sizeof target - 1);
    if (length < 0)
        return -1;
    target[length] = '\0';
    return symlinkat(target, to, name);
}

// With what is mounted on it and below.
static int bind_entry(int from, int to, const char *name, mode_t mode) {
    cleanup_close int source =
        open_tree(from, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW);
    if (source < 0)
        return -1;
    if (S_ISDIR(mode)) {
        if (mkdirat(to, name, 0755) != 0)
            return -1;
    } else {
        cleanup_close int made = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (made < 0)
            return -1;
    }
    return move_mount(source, "", to, name, MOVE_MOUNT_F_EMPTY_PATH);
}

static int copy_entry(int from, int to, const char *name, struct error *err) {
    struct stat info;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return 0;
    // It may have gone in the meantime.
    if (fstatat(from, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
        return 0;
    int result =
        S_ISLNK(info.st_mode) ? copy_symlink(from, to, name) : bind_entry(from, to, name, info.st_mode);
    return result == 0 ? 0 : error_errno(err, "cannot show /dev/%s in the container", name);
}

static int copy_all(DIR *old, int fresh, struct error *err) {
    const struct dirent *entry;
    while ((entry = readdir(old))) {
        if (copy_entry(dirfd(old), fresh, entry->d_name, err) != 0)
            return -1;
    }
    return 0;
}

int device_directory_make(int root, struct error *err) {
    char path[32];
    // Stays open below what is mounted on it.
    int fd = in_root_open(root, "/dev", O_RDONLY | O_DIRECTORY);
    DIR *old = fd >= 0 ? fdopendir(fd) : NULL;
    if (!old)
        return error_errno(err, "cannot list /dev in the container");
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int result = mount("stowage", path, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=1m");
    cleanup_close int fresh = result == 0 ? in_root_open(root, "/dev", O_RDONLY | O_DIRECTORY) : -1;
    if (fresh < 0)
        result = error_errno(err, "cannot mount a tmpfs on /dev in the container");
    else
        result = copy_all(old, fresh, err);
    closedir(old);
    return result;
}
