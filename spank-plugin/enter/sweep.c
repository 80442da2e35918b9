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

// The tree that an entry of the store belongs to: its own name without suffix. False for what is none of
// ours.
static bool owning_tree(const char *entry, char name[TREE_NAME_MAX]) {
    size_t length = strcspn(entry, ".");
    if (length >= TREE_NAME_MAX)
        return false;
    memcpy(name, entry, length);
    name[length] = '\0';
    return tree_is_name(name);
}

static bool is_self_or_parent(const char *name) {
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

int sweep(const struct tree_store *store, struct error *err) {
    int copy = openat(store->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = copy < 0 ? NULL : fdopendir(copy);
    if (!directory)
        return error_errno(err, "cannot list the tree store %s", store->path);
    int result = 0;
    struct dirent *entry;
    while ((entry = readdir(directory))) {
        char name[TREE_NAME_MAX];
        if (is_self_or_parent(entry->d_name))
            continue;
        // The store is memory that no job is charged for once it has ended: nothing else may be kept there.
        int swept = owning_tree(entry->d_name, name) ? sweep_tree(store, name, err)
                                                     : remove_tree(store->fd, entry->d_name, err);
        if (swept != 0)
            result = -1;
    }
    closedir(directory);
    return result;
}
