// Running stowage-enter, the program that does everything the plugin must not do inside slurmstepd.
#pragma once

#include "error.h"
#include "pull_policy.h"
#include "settings.h"
#include "step.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct helper_request {
    const char *image;
    enum pull_policy pull;
    // Say which digest runs, in the step's output.
    bool show_digest;
    // Asked for as pyxis does it.
    bool pyxis;
    uint32_t job_id;
    uint32_t step_id;
    // slurmstepd: the namespaces are given up when it ends, whatever else happens.
    pid_t slurmstepd;
    // Host directory that must be visible at its own path, or NULL: where the batch script lies.
    const char *host_directory;
    // "NAME=VALUE", NULL-terminated, or NULL: what was asked for besides the image, for stowage-enter
    // --option.
    char *const *options;
    // The job's environment, NULL-terminated.
    char **environment;
};

// Runs stowage-enter until it has answered, and fills *container. It is then about to end: *helper is for
// helper_reap(). Call in the leading rank, as the user. The helper dies with the caller. Fails with the
// helper's own sentence, or with what ended it.
int helper_run(const struct settings *settings, const struct helper_request *request,
               struct step_container *container, pid_t *helper, struct error *err);

// Waits for the end of what helper_run() has left; 0 is nothing. The program that the rank becomes must not
// find a child that it never had.
void helper_reap(pid_t helper);

// Where stowage-enter is. Fails if it cannot be run.
int helper_path(const struct settings *settings, char path[PATH_MAX], struct error *err);
