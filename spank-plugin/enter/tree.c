#include "tree.h"
#include "blobs.h"
#include "cleanup.h"
#include "remove_tree.h"
#include "unpacker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

static void waiting_for_lock(void *progress) {
    progress_note(progress, "waiting for another step of yours that unpacks the same image");
}

static int unpack_into(int root, const Stowage__V1__ContainerPlan *plan, struct progress *progress,
                       struct error *err) {
    size_t count = plan->n_layers;
    cleanup_free int *descriptors = calloc(count + 1, sizeof *descriptors);
    if (!descriptors)
        return error_errno(err, "cannot hold the layers");
    if (daemon_fetch_blobs(plan, descriptors, count, err) != 0)
        return -1;
    int result = unpacker_run(root, plan, descriptors, progress, err);
    for (size_t i = 0; i < count; i++)
        close(descriptors[i]);
    return result;
}

// Call with the exclusive lock.
static int unpack(const struct tree_store *store, const char *name, const Stowage__V1__ContainerPlan *plan,
                  struct progress *progress, struct error *err) {
    char partial[TREE_FILE_MAX];
    tree_file(name, TREE_PARTIAL, partial);
    if (remove_tree(store->fd, partial, err) != 0)
        return error_wrap(err, "cannot clear away what an interrupted step left");
    if (mkdirat(store->fd, partial, 0755) != 0)
        return error_errno(err, "cannot make %s/%s", store->path, partial);
    cleanup_close int root = openat(store->fd, partial, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int result = root < 0 ? error_errno(err, "cannot open %s/%s", store->path, partial)
                          : unpack_into(root, plan, progress, err);
    if (result == 0 && renameat(store->fd, partial, store->fd, name) != 0)
        result = error_errno(err, "cannot publish %s/%s", store->path, name);
    if (result != 0) {
        struct error ignored;
        remove_tree(store->fd, partial, &ignored);
    }
    return result;
}

// Fills *tree for the complete tree `name`, whose lock the caller hands over.
static int describe_tree(const struct tree_store *store, const char *name, int lock, struct tree *tree,
                         struct error *err) {
    char mount_point[TREE_FILE_MAX];
    tree_file(name, TREE_MOUNT, mount_point);
    if (mkdirat(store->fd, mount_point, 0700) != 0 && errno != EEXIST)
        return error_errno(err, "cannot make %s/%s", store->path, mount_point);
    size_t size = sizeof tree->path;
    if (snprintf(tree->path, size, "%s/%s", store->path, name) >= (int)size ||
        snprintf(tree->mount_point, size, "%s/%s", store->path, mount_point) >= (int)size ||
        snprintf(tree->lock_path, size, "%s/%s%s", store->path, name, TREE_LOCK) >= (int)size)
        return error_set(err, "the path of the tree store is too long");
    tree->lock = lock;
    return 0;
}

int tree_acquire(struct tree *tree, const struct tree_store *store, const Stowage__V1__ContainerPlan *plan,
                 struct progress *progress, struct error *err) {
    char name[TREE_NAME_MAX];
    if (tree_name(plan->image_digest, name, err) != 0)
        return -1;
    cleanup_close int lock =
        tree_store_wait_for_lock(store, name, TREE_SHARED, waiting_for_lock, progress, err);
    if (lock >= 0 && !tree_store_has(store, name)) {
        close(steal_fd(&lock));
        lock = tree_store_wait_for_lock(store, name, TREE_EXCLUSIVE, waiting_for_lock, progress, err);
        bool missing = lock >= 0 && !tree_store_has(store, name);
        if (missing && plan->blob_ticket.len == 0)
            return TREE_GONE;
        if (missing && unpack(store, name, plan, progress, err) != 0)
            return -1;
        // Not atomic: a sweep may take the lock, and the tree, in between.
        if (lock >= 0 && flock(lock, LOCK_SH) != 0)
            return error_errno(err, "cannot share the lock of %s/%s", store->path, name);
        if (lock >= 0 && !tree_store_has(store, name))
            return TREE_GONE;
    }
    if (lock < 0 || describe_tree(store, name, lock, tree, err) != 0)
        return -1;
    steal_fd(&lock);
    return 0;
}
