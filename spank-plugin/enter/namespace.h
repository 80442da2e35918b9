// The namespaces of a step.
#pragma once

#include "error.h"
#include "step.h"

// Moves this process into a new user namespace, in which it is the same user and group as outside, or uid 0
// and gid 0 if the entry says so, and nobody else exists; into a new mount namespace in which nothing it
// mounts is seen by the host; and into those that the entry names. A directory open at *carried, unless that
// is -1, is opened anew in there and the old descriptor closed: mounts cannot be made from one that belongs
// to another mount namespace. Changes the working directory. Fails with what the node's administrators must
// allow.
int namespace_enter(int *carried, const struct step_entry *entry, struct error *err);
