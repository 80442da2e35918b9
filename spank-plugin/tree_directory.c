#include "tree_directory.h"
#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { UID_TEXT_MAX = 16 };

static int open_trees(const char *trees, struct error *err) {
    cleanup_close int fd = open(trees, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, "the tree store %s is not there (%s); the administrators must mount it", trees,
                         strerror(errno));
    struct stat info;
    if (fstat(fd, &info) != 0)
        return error_errno(err, "cannot look at the tree store %s", trees);
    if (info.st_uid != 0 || (info.st_mode & (S_IWGRP | S_IWOTH)))
        return error_set(
            err,
            "the tree store %s must belong to root and be writable by root alone (mode 0711); the "
            "administrators must correct that",
            trees);
    return steal_fd(&fd);
}

static int open_own(int trees_fd, const char *name) {
    return openat(trees_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int tree_directory_make(const char *trees, uid_t uid, gid_t gid, struct error *err) {
    cleanup_close int trees_fd = open_trees(trees, err);
    if (trees_fd < 0)
        return -1;
    char name[UID_TEXT_MAX];
    snprintf(name, sizeof name, "%u", (unsigned)uid);
    if (mkdirat(trees_fd, name, 0700) != 0 && errno != EEXIST)
        return error_errno(err, "cannot make %s/%s", trees, name);

    cleanup_close int own = open_own(trees_fd, name);
    struct stat info;
    if (own < 0 || fstat(own, &info) != 0)
        return error_errno(err, "cannot open %s/%s", trees, name);
    // Still root's: just made, here or by the first rank of another step. Only ever given away once.
    if (info.st_uid == 0 && uid != 0 && (fchmod(own, 0700) != 0 || fchown(own, uid, gid) != 0))
        return error_errno(err, "cannot give %s/%s to its user", trees, name);
    if (info.st_uid != 0 && info.st_uid != uid)
        return error_set(err, "%s/%s belongs to somebody else; the administrators must remove it", trees,
                         name);
    return 0;
}

int tree_directory_find(const char *trees, uid_t uid, gid_t *gid, struct error *err) {
    cleanup_close int trees_fd = open_trees(trees, err);
    if (trees_fd < 0)
        return -1;
    char name[UID_TEXT_MAX];
    snprintf(name, sizeof name, "%u", (unsigned)uid);
    cleanup_close int own = open_own(trees_fd, name);
    if (own < 0 && errno == ENOENT)
        return 0;
    struct stat info;
    if (own < 0 || fstat(own, &info) != 0)
        return error_errno(err, "cannot open %s/%s", trees, name);
    if (info.st_uid != uid)
        return error_set(err, "%s/%s does not belong to its user", trees, name);
    *gid = info.st_gid;
    return 1;
}
