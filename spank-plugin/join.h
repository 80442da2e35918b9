// How a rank enters the container of its step.
#pragma once

#include "error.h"
#include "step.h"

// Opens the container's holder, a process of the same user that keeps its namespaces. Returns a pidfd.
int join_open_holder(const struct step_container *container, struct error *err);

// Joins the namespaces of the holder in one call (setns(2) with a pidfd, Linux 5.8), sets no_new_privs,
// changes to the working directory and, if the container is one for root, begins to emulate that. The caller
// must have one thread. The lock on the image's tree, taken on the way, is meant to stay open until the rank
// executes its program.
int join_container(const struct step_container *container, int holder, struct error *err);

// To be called by each rank after join_container(), whatever came of it: the last one ends the holder, unless
// it is to be kept. `countdown`: see countdown.h.
void join_release_holder(const struct step_container *container, int holder, int countdown);
