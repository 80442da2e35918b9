// Step 8 of docs/path-of-an-image.md: what a plan says becomes a container.
#pragma once

#include "account.h"
#include "environment.h"
#include "error.h"
#include "image_environment.h"
#include "local_image.h"
#include "named_container.h"
#include "options.h"
#include "progress.h"
#include "save.h"
#include "step.h"
#include "tree.h"

#include <stowage/v1/image.pb-c.h>

// What is needed to build it; nothing of it is owned.
struct container_request {
    const struct options *options;
    const struct account *account;
    // The image in the user's files, or NULL.
    const struct local_image *local;
    const struct host_files *host_files;
    const Stowage__V1__ContainerPlan *plan;
    struct tree *tree;
    // slurmstepd, a pidfd.
    int lifeline;
    const struct named_container *named;
    struct save *save;
    struct progress *progress;
};

// What the ranks have to know of it.
struct container {
    struct step_entry entry;
    // Where they start; belongs to the request.
    const char *directory;
    struct environment environment;
};

// Builds the container, or joins it if it has a name and runs. This process is inside then, and cannot go
// back.
int container_build(const struct container_request *request, struct container *container, struct error *err);
