// A container with a name, --image-name: its writable layer outlives the step, for later steps of the same
// job on this node; other steps may join it while it runs. `<trees>/<uid>/named/<job>/<NAME>/`:
//   container  what it is made of, see named_record.h; there is a container once there is this file
//   upper      what was written in it, the upper layer of its overlay, which is mounted once at most
//   work, root the overlay's work directory and mount point
//   lock       flock(2): exclusive while a step finds out what to do, and does it
//   running    see running_lock.h
#pragma once

#include "error.h"
#include "named_option.h"
#include "named_record.h"
#include "options.h"
#include "progress.h"
#include "tree.h"
#include "tree_store.h"

#include <stdbool.h>
#include <stowage/v1/image.pb-c.h>

#define NAMED_DIRECTORY "named"

enum named_state {
    // The step's container has no name.
    NAMED_NONE,
    NAMED_ABSENT,
    NAMED_KEPT,
    NAMED_RUNNING,
};

struct named_container {
    // As it was found.
    enum named_state state;
    struct named_option option;
    char path[PATH_MAX];
    int directory;
    int lock;
    // For running_lock.h.
    int running;
    // A process that lives in it, a pidfd, or -1.
    int inhabitant;
    struct named_record record;
};

// Finds what the step's --image-name stands for, and keeps all others from doing so until this process ends.
// Completes the options by what the container was made with: the image if none was given, and, if it runs,
// what cannot be otherwise any more. Fails if the mode does not allow what is there, if there is nothing and
// no image, or if something else is asked for of a container that runs.
int named_container_open(struct named_container *container, struct options *options,
                         const struct tree_store *store, struct progress *progress, struct error *err);

// Fails unless the plan is for the image that the container was made from.
int named_container_check(const struct named_container *container, const struct options *options,
                          const Stowage__V1__ContainerPlan *plan, struct error *err);

// Writes down what a container is made of that was started now. No failure may follow that users could mend.
int named_container_keep(const struct named_container *container, const struct options *options,
                         const Stowage__V1__ContainerPlan *plan, const struct tree *tree, struct error *err);
