// Running a program of the host for a container that is being built, in its namespaces, as the user.
#pragma once

#include "error.h"

#include <stdbool.h>

struct host_program {
    // Absolute, on the host.
    const char *path;
    // NULL-terminated, both.
    char *const *arguments;
    char *const *environment;
    // For its standard input; NULL for none. At most 4 KiB.
    const char *input;
    // Where it starts; NULL for the caller's.
    const char *directory;
    unsigned timeout_seconds;
    // What it writes goes to the step's standard error, or nowhere.
    bool is_quiet;
};

// Waits for it. Fails, with a clause such as "it failed (exit status 3)", unless it ends with status 0;
// whatever it has started and is still there after its time is killed.
int host_program_run(const struct host_program *program, struct error *err);
