// Getting hold of the tree of an image: found, or unpacked now.
#pragma once

#include "error.h"
#include "progress.h"
#include "tree_store.h"

#include <stowage/v1/image.pb-c.h>

struct tree {
    // Absolute path of the complete tree, and of an empty directory to mount things on.
    char path[PATH_MAX];
    char mount_point[PATH_MAX];
    // Path of its lock, for the ranks.
    char lock_path[PATH_MAX];
    // Keeps the tree from being removed until it is closed or a process mounts the tree.
    int lock;
};

// The tree has gone in between, and the plan has no ticket for the layers left: ask the daemon again.
enum { TREE_GONE = 1 };

// Finds the tree of the plan's image, or unpacks it, waiting for another step of the same user that does so.
// Returns 0, TREE_GONE or -1. The caller closes tree->lock.
int tree_acquire(struct tree *tree, const struct tree_store *store, const Stowage__V1__ContainerPlan *plan,
                 struct progress *progress, struct error *err);
