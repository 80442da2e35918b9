// A rank's share of the lock on its image's tree, see enter/tree_store.h.
#pragma once

#include "error.h"

// Opens the lock file and takes a share of it. A sweep at the end of another job of the user holds the lock
// for the moment in which it looks who uses the tree: waits as long as `deadline_milliseconds` for that.
// Returns the descriptor, which holds the lock until it is closed.
int rank_lock_take(const char *path, unsigned deadline_milliseconds, struct error *err);
