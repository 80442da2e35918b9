// How the environment changes on the way into the container.
#pragma once

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stowage/v1/image.pb-c.h>

struct environment {
    // Names to be removed, and then "NAME=VALUE" to be set; all owned by the struct.
    char **unset;
    size_t unset_count;
    char **set;
    size_t set_count;
};

// What the plan says for a job with the environment `job`, NULL-terminated.
int environment_from_plan(struct environment *environment, const Stowage__V1__ContainerPlan *plan,
                          char *const *job, struct error *err);

bool environment_sets(const struct environment *environment, const char *name);

// Sets a variable over what was there. Names that are Slurm's and Stowage's own are left alone, as what tells
// a rank which rank it is must not come from an image (wrapper/plan/environment.ts).
int environment_set(struct environment *environment, const char *name, size_t name_length, const char *value,
                    struct error *err);

int environment_unset(struct environment *environment, const char *name, size_t name_length,
                      struct error *err);

// Adds further changes to earlier ones.
int environment_merge(struct environment *environment, const struct environment *further, struct error *err);

// The job's environment with the changes, NULL-terminated. The array is the caller's, the strings are not.
char **environment_apply(const struct environment *environment, char **job, struct error *err);

void environment_release(struct environment *environment);
