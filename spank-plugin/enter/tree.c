#include "tree.h"
#include "cleanup.h"
#include "remove_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

struct wait {
    struct progress *progress;
    // Whether there was anything to wait for.
    bool waited;
};

static void waiting_for_lock(void *context) {
    struct wait *wait = context;
    wait->waited = true;
    progress_note(wait->progress, "waiting for another step of yours that unpacks the same image");
}

static bool is_root_file_system(const struct local_image *local) {
    return local && local->format == STOWAGE__V1__LOCAL_IMAGE__FORMAT__FORMAT_ROOT_FILE_SYSTEM;
}

// Whether the image is to be mounted as it is.
static bool is_mounted(const Stowage__V1__ContainerPlan *plan, const struct local_image *local) {
    const char *kind = is_root_file_system(local) ? local->identity.kind : NULL;
    return plan->mount_squashfs && kind && (strcmp(kind, "squashfs") == 0 || strcmp(kind, "sif") == 0);
}

static int choose_name(const Stowage__V1__ContainerPlan *plan, const struct local_image *local,
                       char name[TREE_NAME_MAX], struct error *err) {
    return is_mounted(plan, local) ? tree_squashfs_name(plan->image_digest, name, err)
                                   : tree_name(plan->image_digest, name, err);
}

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

// Takes over making->sources and `lock`, which must be exclusive, and starts to unpack.
static int begin(struct tree_making *making, const struct tree_store *store, const char *name, int lock,
                 struct unpacking *unpacking, struct error *err) {
    making->begun = true;
    making->lock = lock;
    making->began_ms = now_ms();
    snprintf(making->name, sizeof making->name, "%s", name);
    unpacking->sources = &making->sources;

    char partial[TREE_FILE_MAX];
    tree_file(name, TREE_PARTIAL, partial);
    if (remove_tree(store->fd, partial, err) != 0)
        return error_wrap(err, "cannot clear away what an interrupted step left");
    if (mkdirat(store->fd, partial, 0755) != 0)
        return error_errno(err, "cannot make %s/%s", store->path, partial);
    cleanup_close int root = openat(store->fd, partial, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (root < 0)
        return error_errno(err, "cannot open %s/%s", store->path, partial);
    return unpacker_start(&making->unpacker, root, unpacking, err);
}

int tree_begin(struct tree_making *making, const struct tree_store *store,
               const Stowage__V1__Layers *announced, struct error *err) {
    char name[TREE_NAME_MAX];
    if (making->begun)
        return error_set(err, "stowaged announced the layers twice");
    if (tree_name(announced->image_digest, name, err) != 0)
        return -1;
    cleanup_close int lock = tree_store_try_lock(store, name, TREE_EXCLUSIVE, err);
    if (lock == TREE_BUSY || (lock >= 0 && tree_store_has(store, name)))
        return 0;
    if (lock < 0)
        return -1;
    // The ticket is good as long as the call is: one that fails is about to say why, and a plan brings
    // another.
    struct error refusal;
    if (layer_sources_fetch(&making->sources, announced->layers, announced->n_layers, announced->blob_socket,
                            &announced->blob_ticket, &refusal) != 0)
        return 0;
    struct unpacking unpacking = {
        .layers = announced->layers, .growing = true, .file = -1, .budget = announced->budget};
    return begin(making, store, name, steal_fd(&lock), &unpacking, err);
}

void tree_watch(const struct tree_making *making, struct pollfd watched[UNPACK_STREAMS]) {
    if (making->begun && !making->unpacked && !making->doubted)
        unpack_program_watch(&making->unpacker.program, watched);
}

int tree_listen(struct tree_making *making, const struct pollfd watched[UNPACK_STREAMS], struct error *err) {
    struct unpack_program *program = &making->unpacker.program;
    bool refused;
    if (!making->begun || making->unpacked || making->doubted || unpack_program_listen(program, watched))
        return 0;
    if (unpack_program_wait(program, &refused, &making->doubt) == 0) {
        making->unpacked = true;
        return 0;
    }
    making->doubted = refused && unpacker_doubts_bytes(&making->doubt);
    return making->doubted ? 0 : error_set(err, "%s", making->doubt.text);
}

void tree_abandon(struct tree_making *making, const struct tree_store *store) {
    if (making->begun) {
        char partial[TREE_FILE_MAX];
        struct error ignored;
        unpacker_end(&making->unpacker);
        tree_file(making->name, TREE_PARTIAL, partial);
        remove_tree(store->fd, partial, &ignored);
        cleanup_close_fd(&making->lock);
    }
    layer_sources_release(&making->sources);
    *making = (struct tree_making)TREE_MAKING_NONE;
}

// Waits for the unpacker and gives the tree its name. Whatever comes of it, nothing is under way afterwards
// but the lock, which is returned.
static int complete(struct tree_making *making, const struct tree_store *store, struct progress *progress,
                    struct error *err) {
    char partial[TREE_FILE_MAX];
    tree_file(making->name, TREE_PARTIAL, partial);
    int result = 0;
    if (making->doubted)
        result = error_set(err, "%s", making->doubt.text);
    else if (!making->unpacked)
        result = unpacker_finish(&making->unpacker, progress, err);
    if (result == 0 && renameat(store->fd, partial, store->fd, making->name) != 0)
        result = error_errno(err, "cannot publish %s/%s", store->path, making->name);
    if (result == 0)
        unpacker_remark(&making->unpacker, progress);
    int lock = result == 0 ? steal_fd(&making->lock) : -1;
    if (result == 0)
        unpacker_end(&making->unpacker);
    // A small tree takes less than one.
    uint64_t took_ms = result == 0 ? now_ms() - making->began_ms + 1 : 0;
    tree_abandon(making, store);
    making->took_ms = took_ms;
    return lock;
}

// Call with the exclusive lock, which it takes over and returns; TREE_BUSY if the ticket grew too old while
// another step was waited for, which then failed.
static int unpack(struct tree_making *making, const struct tree_store *store, const char *name, int lock,
                  const Stowage__V1__ContainerPlan *plan, const struct local_image *local,
                  const struct wait *wait, struct error *err) {
    cleanup_close int held = lock;
    struct unpacking unpacking = {.layers = plan->layers, .file = -1, .budget = plan->budget};
    int result = 0;
    if (is_root_file_system(local)) {
        unpacking.file = local->fd;
        unpacking.file_bytes = local->identity.size_bytes;
        unpacking.file_digest = local->identity.digest;
        unpacking.keep_squashfs = is_mounted(plan, local);
    } else if (local) {
        struct layout_files files = local_image_files(local);
        result = layer_sources_find(&making->sources, plan->layers, plan->n_layers, &files, err);
    } else {
        result = layer_sources_fetch(&making->sources, plan->layers, plan->n_layers, plan->blob_socket,
                                     &plan->blob_ticket, err);
        if (result != 0 && wait->waited)
            return TREE_BUSY;
    }
    if (result == 0)
        result = begin(making, store, name, steal_fd(&held), &unpacking, err);
    if (result == 0)
        return complete(making, store, wait->progress, err);
    tree_abandon(making, store);
    return -1;
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
    tree->is_squashfs = tree_is_squashfs_name(name);
    tree->directory = -1;
    tree->lock = lock;
    return 0;
}

// Makes the tree and returns its lock, exclusive still; TREE_BUSY if there is nothing to make it from.
static int make_tree(const struct tree_store *store, const char *name, const Stowage__V1__ContainerPlan *plan,
                     const struct local_image *local, struct tree_making *making, struct wait *wait,
                     struct error *err) {
    if (making->begun && strcmp(making->name, name) != 0)
        return error_set(err, "stowaged announced the layers of another image; try again");
    if (making->begun)
        return complete(making, store, wait->progress, err);
    int lock = tree_store_wait_for_lock(store, name, TREE_EXCLUSIVE, waiting_for_lock, wait, err);
    if (lock < 0 || tree_store_has(store, name))
        return lock;
    if (!local && plan->blob_ticket.len == 0) {
        close(lock);
        return TREE_BUSY;
    }
    return unpack(making, store, name, lock, plan, local, wait, err);
}

int tree_acquire(struct tree *tree, const struct tree_store *store, const Stowage__V1__ContainerPlan *plan,
                 const struct local_image *local, struct tree_making *making, struct progress *progress,
                 struct error *err) {
    char name[TREE_NAME_MAX];
    struct wait wait = {.progress = progress};
    if (choose_name(plan, local, name, err) != 0)
        return -1;
    cleanup_close int lock = -1;
    if (!making->begun)
        lock = tree_store_wait_for_lock(store, name, TREE_SHARED, waiting_for_lock, &wait, err);
    if (making->begun || (lock >= 0 && !tree_store_has(store, name))) {
        cleanup_close_fd(&lock);
        lock = make_tree(store, name, plan, local, making, &wait, err);
        if (lock == TREE_BUSY)
            return TREE_GONE;
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

int tree_use_directory(struct tree *tree, const struct tree_store *store, int fd, struct error *err) {
    *tree = (struct tree){.directory = fcntl(fd, F_DUPFD_CLOEXEC, 0), .lock = -1};
    if (tree->directory < 0)
        return error_errno(err, "cannot hold the image's directory");
    // Hides the trees from this namespace, which needs none of them.
    snprintf(tree->mount_point, sizeof tree->mount_point, "%s", store->path);
    return 0;
}
