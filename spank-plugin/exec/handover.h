// What a rank takes along when it executes stowage-exec: one sealed memory file.
#pragma once

#include "error.h"
#include "step.h"

// Descriptors that the rank keeps open on the way.
struct handover_descriptors {
    // The container's holder, a pidfd.
    int holder;
    // See countdown.h.
    int countdown;
};

// Makes the file. *fd and the descriptors that it names are above the standard ones and stay open on exec.
int handover_make(const struct step_container *container, const struct handover_descriptors *descriptors,
                  int *fd, struct error *err);

// Reads it and closes it; the descriptors are closed on exec from then on. Fails if it comes from another
// release.
int handover_take(int fd, struct step_container *container, struct handover_descriptors *descriptors,
                  struct error *err);
