// The user and mount namespace of a step.
#pragma once

#include "error.h"

// Moves this process into a new user namespace, in which it is the same user and group as outside and nobody
// else exists, and into a new mount namespace in which nothing it mounts is seen by the host. Fails with what
// the node's administrators must allow.
int namespace_enter(struct error *err);
