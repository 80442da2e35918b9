// Getting hold of the tree of an image: found, or unpacked now.
#pragma once

#include "error.h"
#include "local_image.h"
#include "progress.h"
#include "tree_store.h"
#include "unpacker.h"

#include <stowage/v1/image.pb-c.h>

struct tree {
    // A directory of the user that is used as it is, or -1: owned by the struct.
    int directory;
    // Else the absolute path of the complete tree.
    char path[PATH_MAX];
    // A directory to mount things on, in a namespace of one's own.
    char mount_point[PATH_MAX];
    // Path of its lock, for the ranks; empty if there is none.
    char lock_path[PATH_MAX];
    // It holds nothing but a squashfs image, to be mounted on it: see squashfs_mount.h.
    bool is_squashfs;
    // Keeps the tree from being removed until it is closed or a process mounts the tree.
    int lock;
};

// A tree under way, with its exclusive lock.
struct tree_making {
    bool begun;
    char name[TREE_NAME_MAX];
    int lock;
    // CLOCK_MONOTONIC, when it began.
    uint64_t began_ms;
    // How long the last one took that was completed; 0 if none was.
    uint64_t took_ms;
    struct layer_sources sources;
    struct unpacker unpacker;
    // That the unpacker has ended, and well, or else why not.
    bool unpacked;
    bool doubted;
    struct error doubt;
};

// Nothing is under way.
#define TREE_MAKING_NONE                                                                                     \
    { .lock = -1, .unpacker = UNPACKER_NONE }

// Starts to unpack what stowaged announces before it has all of it, unless the tree is there, another step is
// at it or the layers are not handed out. After success tree_acquire() or tree_abandon() must follow, after
// either of which nothing is under way.
int tree_begin(struct tree_making *making, const struct tree_store *store,
               const Stowage__V1__Layers *announced, struct error *err);

// What poll(2) has to watch meanwhile, and what to do when it returns. Fails as soon as the unpacker has,
// except over the bytes of a layer: if they are wrong, stowaged is about to say why.
void tree_watch(const struct tree_making *making, struct pollfd watched[UNPACK_STREAMS]);
int tree_listen(struct tree_making *making, const struct pollfd watched[UNPACK_STREAMS], struct error *err);

// Ends it and removes what there is of it.
void tree_abandon(struct tree_making *making, const struct tree_store *store);

// The tree has gone in between, and the plan has no ticket for the layers, or none that is still good: ask
// the daemon again.
enum { TREE_GONE = 1 };

// Finds the tree of the plan's image, or unpacks it, from `local` if that is not NULL, waiting for another
// step of the same user that does so. Returns 0, TREE_GONE or -1. The caller closes tree->lock.
int tree_acquire(struct tree *tree, const struct tree_store *store, const Stowage__V1__ContainerPlan *plan,
                 const struct local_image *local, struct tree_making *making, struct progress *progress,
                 struct error *err);

// Uses a directory of the user, open at `fd`, as it is. It is known by its descriptor from then on, so that
// neither its name nor what bears that name later matters.
int tree_use_directory(struct tree *tree, const struct tree_store *store, int fd, struct error *err);
