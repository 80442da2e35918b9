// How a rank enters the container of its step.
#pragma once

#include "error.h"
#include "step.h"

// Joins the namespaces of the container's holder, a process of the same user, in one call (setns(2) with a
// pidfd, Linux 5.8), sets no_new_privs, changes to the working directory and, if the container is one for
// root, begins to emulate that. The caller must have one thread. *pidfd receives a descriptor of the holder,
// to be closed by the caller. The lock on the image's tree, taken on the way, is meant to stay open until the
// rank executes its program.
int join_container(const struct step_container *container, int *pidfd, struct error *err);
