#include "tree.h"
#include "cleanup.h"
#include "daemon_client.h"
#include "remove_tree.h"
#include "unpacker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { TREE_GONE = 1 };

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
    snprintf(partial, sizeof partial, "%s.partial", name);
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

static int make_mount_point(const struct tree_store *store, const char *name, struct tree *tree,
                            struct error *err) {
    char mount_point[TREE_FILE_MAX];
    snprintf(mount_point, sizeof mount_point, "%s.mount", name);
    if (mkdirat(store->fd, mount_point, 0700) != 0 && errno != EEXIST)
        return error_errno(err, "cannot make %s/%s", store->path, mount_point);
    int path = snprintf(tree->path, sizeof tree->path, "%s/%s", store->path, name);
    int mount = snprintf(tree->mount_point, sizeof tree->mount_point, "%s/%s", store->path, mount_point);
    if (path >= (int)sizeof tree->path || mount >= (int)sizeof tree->mount_point)
        return error_set(err, "the path of the tree store is too long");
    return 0;
}

int tree_acquire(struct tree *tree, const struct tree_store *store, const Stowage__V1__ContainerPlan *plan,
                 struct progress *progress, struct error *err) {
    char name[TREE_NAME_MAX];
    if (tree_name(plan->image_digest, name, err) != 0)
        return -1;
    for (;;) {
        cleanup_close int shared = tree_store_lock(store, name, false, true, waiting_for_lock, progress, err);
        if (shared < 0)
            return -1;
        if (tree_store_has(store, name)) {
            if (make_mount_point(store, name, tree, err) != 0)
                return -1;
            tree->lock = steal_fd(&shared);
            return 0;
        }
        close(steal_fd(&shared));

        cleanup_close int exclusive =
            tree_store_lock(store, name, true, true, waiting_for_lock, progress, err);
        if (exclusive < 0)
            return -1;
        if (tree_store_has(store, name))
            continue;
        if (plan->blob_ticket.len == 0)
            return TREE_GONE;
        if (unpack(store, name, plan, progress, err) != 0)
            return -1;
    }
}
