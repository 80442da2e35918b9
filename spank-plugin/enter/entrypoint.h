// The image's entrypoint, run once per step and node before the ranks join (--image-entrypoint). Its command
// is stowage-report, which tells the environment and the working directory that the entrypoint left.
#pragma once

#include "environment.h"
#include "error.h"
#include "progress.h"

#include <stdbool.h>
#include <stowage/v1/image.pb-c.h>

struct entrypoint {
    // stowage-report, open before the host is out of sight; -1 if no entrypoint is to be run.
    int reporter;
    // Room for the directory in which the entrypoint left its command.
    char *directory;
};

// Call before the root directory changes.
int entrypoint_prepare(struct entrypoint *entrypoint, const Stowage__V1__ContainerPlan *plan,
                       struct error *err);

// Call in the container. Runs the entrypoint in *directory with the job's environment and the changes so far;
// adds the changes that it made, and sets *directory to where it went unless the user asked for one. Fails if
// it fails, does not start its command, or takes longer than five minutes.
int entrypoint_run(struct entrypoint *entrypoint, const Stowage__V1__ContainerPlan *plan,
                   struct environment *environment, const char **directory, struct progress *progress,
                   struct error *err);
