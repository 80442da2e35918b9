#include "sweep.h"
#include "cleanup.h"
#include "directory_entry.h"
#include "file_memory.h"
#include "named_container.h"
#include "named_sweep.h"
#include "prefetch_lock.h"
#include "remove_tree.h"
#include "tree_users.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

static int sweep_tree(const struct tree_store *store, const char *name, struct error *err) {
    cleanup_close int lock = tree_store_try_lock(store, name, TREE_EXCLUSIVE, err);
    if (lock == TREE_BUSY)
        return 0;
    if (lock < 0)
        return -1;

    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", store->path, name) >= (int)sizeof path)
        return error_set(err, "the path of the tree store is too long");
    bool mounted = false;
    if (tree_is_mounted(path, &mounted, err) != 0)
        return -1;
    if (mounted || named_uses_tree(store, name))
        return 0;
    char file[TREE_FILE_MAX];
    tree_file(name, TREE_PARTIAL, file);
    if (remove_tree(store->fd, file, err) != 0)
        return -1;
    // Gone from view at once, so that a sweep that is interrupted leaves no half of a tree behind.
    if (renameat(store->fd, name, store->fd, file) != 0 && errno != ENOENT)
        return error_errno(err, "cannot move %s/%s aside", store->path, name);
    if (remove_tree(store->fd, file, err) != 0)
        return -1;
    tree_file(name, TREE_MOUNT, file);
    if (remove_tree(store->fd, file, err) != 0)
        return -1;
    tree_file(name, TREE_LOCK, file);
    unlinkat(store->fd, file, 0);
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

int sweep(const struct tree_store *store, struct error *err) {
    // As a prefetch it runs outside of the job's cgroup.
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return error_errno(err, "cannot keep other processes out");
    int copy = openat(store->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = copy < 0 ? NULL : fdopendir(copy);
    if (!directory)
        return error_errno(err, "cannot list the tree store %s", store->path);
    int result = 0;
    bool any_left = false;
    struct dirent *entry;
    while ((entry = readdir(directory))) {
        char name[TREE_NAME_MAX];
        if (is_self_or_parent(entry->d_name) || strcmp(entry->d_name, FILE_MEMORY) == 0 ||
            strcmp(entry->d_name, NAMED_DIRECTORY) == 0)
            continue;
        if (prefetch_lock_is_name(entry->d_name)) {
            prefetch_lock_sweep(store, entry->d_name);
            continue;
        }
        // The store is memory that no job is charged for once it has ended: nothing else may be kept there.
        bool is_tree = owning_tree(entry->d_name, name);
        if ((is_tree ? sweep_tree(store, name, err) : remove_tree(store->fd, entry->d_name, err)) != 0)
            result = -1;
        any_left = any_left || (is_tree && tree_store_has(store, name));
    }
    closedir(directory);
    // It is of use as long as there are trees that it leads to.
    if (!any_left && remove_tree(store->fd, FILE_MEMORY, err) != 0)
        result = -1;
    return result;
}
