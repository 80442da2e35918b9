#include "remove_tree.h"
#include "cleanup.h"
#include "directory_entry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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

// Opens a directory to be emptied, whatever its mode. An image may hold some that even their owner cannot
// list.
static int open_directory(int parent, const char *name, struct error *err) {
    static const int FLAGS = O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    cleanup_close int fd = openat(parent, name, O_RDONLY | FLAGS);
    if (fd < 0 && errno == EACCES) {
        // By descriptor, as chmod(2) on a name would follow a symlink.
        cleanup_close int closed = openat(parent, name, O_PATH | FLAGS);
        char path[40];
        snprintf(path, sizeof path, "/proc/self/fd/%d", closed);
        if (closed >= 0 && chmod(path, 0700) == 0)
            fd = openat(parent, name, O_RDONLY | FLAGS);
    }
    if (fd < 0 || fchmod(fd, 0700) != 0)
        return error_errno(err, "cannot open '%s' to remove it", name);
    return steal_fd(&fd);
}

static int move_up(struct removal *removal, int parent, const char *name, struct error *err) {
    for (;;) {
        char aside[32];
        snprintf(aside, sizeof aside, ".deep-%u", removal->moved++);
        if (renameat2(parent, name, removal->top, aside, RENAME_NOREPLACE) == 0)
            return 0;
        if (errno != EEXIST)
            return error_errno(err, "cannot move '%s' to remove it", name);
    }
}

static int remove_entry(struct removal *removal, int parent, const char *name, int depth, struct error *err) {
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return error_errno(err, "cannot remove '%s'", name);
    if (unlinkat(parent, name, AT_REMOVEDIR) == 0)
        return 0;
    cleanup_close int fd = open_directory(parent, name, err);
    if (fd < 0)
        return -1;
    if (depth == DEPTH_MAX)
        return move_up(removal, parent, name, err);
    if (empty_directory(removal, fd, depth + 1, err) != 0)
        return -1;
    if (unlinkat(parent, name, AT_REMOVEDIR) != 0)
        return error_errno(err, "cannot remove '%s'", name);
    return 0;
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
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return 0;
    cleanup_close int top = open_directory(parent, name, err);
    if (top < 0)
        return -1;
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
