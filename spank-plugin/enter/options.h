// The command line of stowage-enter.
#pragma once

#include "error.h"
#include "pull_policy.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    // Of --option: more than Slurm's command line would take.
    GIVEN_OPTIONS_MAX = 256,
};

// Where the site keeps named environments, unless --environments says otherwise.
#define SITE_ENVIRONMENTS "/etc/stowage/environments"

// What the user asked for besides the image, by the names of srun's options without "image-".
struct given_option {
    char *name;
    const char *value;
    // Where it is from, for sentences, or NULL for the command line.
    const char *origin;
};

struct options {
    bool help;
    bool version;
    // Remove unused trees instead of entering an image.
    bool sweep;
    // Bring the image onto the node instead.
    bool prefetch;
    // Print the login for this registry and repository instead.
    const char *login;
    const char *repository;
    const char *socket;
    // The connection of the call that the plugin has begun already, or -1.
    int early_call;
    const char *trees;
    // Empty if there is only the name of a container.
    const char *image;
    uint32_t job_id;
    uint32_t step_id;
    // Process whose end ends the container, whatever else happens; slurmstepd.
    pid_t lifeline;
    // The job's working directory on the host; "" when unknown.
    const char *working_directory;
    enum pull_policy pull;
    // Say which digest runs.
    bool show_digest;
    // Asked for as pyxis does it, with what it takes for granted among the options.
    bool pyxis;
    // A host directory to be shown at its own path, or NULL.
    const char *shown_directory;
    // The directory with the site's named environments.
    const char *environments;
    // In the order in which they were given; the names belong to the struct.
    struct given_option given[GIVEN_OPTIONS_MAX];
    size_t given_count;
};

// Reads argv. Fails on anything unknown, missing or malformed and names it.
int options_parse(struct options *options, int argc, char **argv, struct error *err);

// Adds "NAME=VALUE". `text` must outlive the options.
int options_add_given(struct options *options, const char *text, struct error *err);

// The value that was given last for `name`, or NULL.
const char *options_value(const struct options *options, const char *name);
