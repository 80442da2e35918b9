#include "remove_tree.h"
#include "cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

// One descriptor is open per level; what lies deeper is moved up and removed in another round.
enum { DEPTH_MAX = 64 };

struct removal {
    int top;
    unsigned moved;
};

static int empty_directory(struct removal *removal, int fd, int depth, struct error *err);

static int remove_entry(struct removal *removal, int parent, const char *name, int depth, struct error *err) {
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return error_errno(err, "cannot remove '%s'", name);
    if (unlinkat(parent, name, AT_REMOVEDIR) == 0)
        return 0;
    // An image may hold directories that even their owner cannot list.
    if (fchmodat(parent, name, 0700, 0) != 0)
        return error_errno(err, "cannot open '%s' to remove it", name);
    if (depth == DEPTH_MAX) {
        char aside[32];
        snprintf(aside, sizeof aside, ".deep-%u", removal->moved++);
        if (renameat(parent, name, removal->top, aside) != 0)
            return error_errno(err, "cannot remove '%s'", name);
        return 0;
    }
    cleanup_close int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, "cannot open '%s' to remove it", name);
    if (empty_directory(removal, fd, depth + 1, err) != 0)
        return -1;
    if (unlinkat(parent, name, AT_REMOVEDIR) != 0)
        return error_errno(err, "cannot remove '%s'", name);
    return 0;
}

static bool is_self_or_parent(const char *name) {
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int empty_directory(struct removal *removal, int fd, int depth, struct error *err) {
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = copy < 0 ? NULL : fdopendir(copy);
    if (!directory)
        return error_errno(err, "cannot list a directory to remove it");
    int result = 0;
    struct dirent *entry;
    while (result == 0 && (entry = readdir(directory))) {
        if (!is_self_or_parent(entry->d_name))
            result = remove_entry(removal, fd, entry->d_name, depth, err);
    }
    closedir(directory);
    return result;
}

int remove_tree(int parent, const char *name, struct error *err) {
    if (fchmodat(parent, name, 0700, 0) != 0)
        return errno == ENOENT ? 0 : error_errno(err, "cannot open '%s' to remove it", name);
    cleanup_close int top = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (top < 0)
        return error_errno(err, "cannot open '%s' to remove it", name);
    struct removal removal = {.top = top};
    unsigned moved;
    do {
        moved = removal.moved;
        if (empty_directory(&removal, top, 0, err) != 0)
            return -1;
    } while (removal.moved != moved);
    if (unlinkat(parent, name, AT_REMOVEDIR) != 0)
        return error_errno(err, "cannot remove '%s'", name);
    return 0;
}
