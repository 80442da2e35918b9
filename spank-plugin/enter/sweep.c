#include "sweep.h"
#include "cleanup.h"
#include "remove_tree.h"
#include "tree_users.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static int sweep_tree(const struct tree_store *store, const char *name, struct error *err) {
    cleanup_close int lock = tree_store_lock(store, name, true, false, NULL, NULL, err);
    if (lock == -2)
        return 0;
    if (lock < 0)
        return -1;

    char path[PATH_MAX];
    char partial[TREE_FILE_MAX];
    snprintf(partial, sizeof partial, "%s.partial", name);
    if (snprintf(path, sizeof path, "%s/%s", store->path, name) >= (int)sizeof path)
        return error_set(err, "the path of the tree store is too long");
    bool mounted = false;
    if (tree_is_mounted(path, &mounted, err) != 0 || mounted)
        return mounted ? 0 : -1;
    if (remove_tree(store->fd, partial, err) != 0)
        return -1;
    // Gone from view at once, so that a sweep that is interrupted leaves no half of a tree behind.
    if (renameat(store->fd, name, store->fd, partial) != 0 && errno != ENOENT)
        return error_errno(err, "cannot move %s/%s aside", store->path, name);
    if (remove_tree(store->fd, partial, err) != 0)
        return -1;
    snprintf(partial, sizeof partial, "%s.mount", name);
    unlinkat(store->fd, partial, AT_REMOVEDIR);
    tree_store_unlink_lock(store, name);
    return 0;
}

int sweep(const struct tree_store *store, struct error *err) {
    int copy = openat(store->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = copy < 0 ? NULL : fdopendir(copy);
    if (!directory)
        return error_errno(err, "cannot list the tree store %s", store->path);
    int result = 0;
    struct dirent *entry;
    while ((entry = readdir(directory))) {
        // Every tree, whole or partial, has a lock file, made before it and removed after it.
        char *suffix = strrchr(entry->d_name, '.');
        if (!suffix || strcmp(suffix, ".lock") != 0 || suffix - entry->d_name >= TREE_NAME_MAX)
            continue;
        char name[TREE_NAME_MAX];
        snprintf(name, sizeof name, "%.*s", (int)(suffix - entry->d_name), entry->d_name);
        if (sweep_tree(store, name, err) != 0)
            result = -1;
    }
    closedir(directory);
    return result;
}
