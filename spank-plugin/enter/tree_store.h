// The user's unpacked images on this node, `<trees>/<uid>/`:
//   sha256-<hex>           a complete tree, never modified
//   sha256-<hex>.partial   one being unpacked; only the holder of the exclusive lock touches it
//   sha256-<hex>.lock      flock(2): shared while a step is built on the tree, exclusive to make or remove it
//   sha256-<hex>.mount     an empty directory: mount point, in the namespace of each step that is being built
#pragma once

#include "error.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

struct tree_store {
    char path[PATH_MAX];
    int fd;
};

enum {
    // Room for the longest name of a tree, "sha512-" and 128 digits, and for such a name with a suffix.
    TREE_NAME_MAX = 136,
    TREE_FILE_MAX = TREE_NAME_MAX + 10,
};

// Opens `<trees>/<uid>` of the calling user, whose directory it must be.
int tree_store_open(struct tree_store *store, const char *trees, struct error *err);

void tree_store_close(struct tree_store *store);

// Turns a digest, "sha256:<hex>", into the name of its tree. Fails unless it is a digest.
int tree_name(const char *digest, char name[TREE_NAME_MAX], struct error *err);

// Whether `name` is one that tree_name() gives.
bool tree_is_name(const char *name);

// The digests of all complete trees, NULL-terminated, owned by the caller; free each and the array.
char **tree_store_digests(const struct tree_store *store, struct error *err);

// Whether the complete tree `name` is there. Meaningful only under its lock.
bool tree_store_has(const struct tree_store *store, const char *name);

// Takes the lock of tree `name`. With `wait` tries for as long as it takes, calling tick(context) about fifty
// times a second; without it returns -2 when somebody else holds the lock. Returns a descriptor that holds
// the lock until it is closed, or -1.
int tree_store_lock(const struct tree_store *store, const char *name, bool exclusive, bool wait,
                    void (*tick)(void *), void *context, struct error *err);

// Removes the lock file itself; the caller holds it exclusively.
void tree_store_unlink_lock(const struct tree_store *store, const char *name);
