// The user's unpacked images on this node, `<trees>/<uid>/`:
//   sha256-<hex>           a complete tree, never modified
//   squashfs-sha256-<hex>  the same for a squashfs image that is mounted as it is: see squashfs_mount.h
//   sha256-<hex>.partial   one being unpacked; only the holder of the exclusive lock touches it
//   sha256-<hex>.lock      flock(2): shared while a step is built on the tree, exclusive to make or remove it
//   sha256-<hex>.mount     an empty directory: mount point, in the namespace of each step that is being built
//   prefetch-<job>         see prefetch_lock.h
//   files/                 what the user's image files are, see file_memory.h
#pragma once

#include "error.h"

#include <limits.h>
#include <stdbool.h>

struct tree_store {
    char path[PATH_MAX];
    int fd;
};

enum {
    // Room for the longest name of a tree, "squashfs-sha512-" and 128 digits, and for it with a suffix.
    TREE_NAME_MAX = 145,
    TREE_FILE_MAX = TREE_NAME_MAX + 10,
};

// Opens `<trees>/<uid>` of the calling user, whose directory it must be.
int tree_store_open(struct tree_store *store, const char *trees, struct error *err);

void tree_store_close(struct tree_store *store);

// Turns a digest, "sha256:<hex>", into the name of its tree. Fails unless it is a digest.
int tree_name(const char *digest, char name[TREE_NAME_MAX], struct error *err);

// The same for the tree that holds the squashfs image of that digest as it is.
int tree_squashfs_name(const char *digest, char name[TREE_NAME_MAX], struct error *err);

// Whether `name` is one that tree_name() or tree_squashfs_name() gives.
bool tree_is_name(const char *name);

// Whether it is one that tree_squashfs_name() gives.
bool tree_is_squashfs_name(const char *name);

// The digests of all complete trees that are unpacked, NULL-terminated, owned by the caller; free each and
// the array.
char **tree_store_digests(const struct tree_store *store, struct error *err);

// Whether the complete tree `name` is there. Meaningful only under its lock.
bool tree_store_has(const struct tree_store *store, const char *name);

// What belongs to a tree besides itself.
#define TREE_LOCK ".lock"
#define TREE_PARTIAL ".partial"
#define TREE_MOUNT ".mount"

// "<name><suffix>", one of the above.
void tree_file(const char *name, const char *suffix, char file[TREE_FILE_MAX]);

enum tree_lock_kind {
    // Many may hold it: to build a container on the tree.
    TREE_SHARED,
    // Nobody else holds any: to make or to remove the tree.
    TREE_EXCLUSIVE,
};

// Somebody else holds the lock.
enum { TREE_BUSY = -2 };

// Takes the lock of tree `name`. Returns a descriptor that holds it until it is closed, TREE_BUSY or -1.
int tree_store_try_lock(const struct tree_store *store, const char *name, enum tree_lock_kind kind,
                        struct error *err);

// The same for as long as it takes, calling tick(context) about fifty times a second. Never TREE_BUSY.
int tree_store_wait_for_lock(const struct tree_store *store, const char *name, enum tree_lock_kind kind,
                             void (*tick)(void *), void *context, struct error *err);
