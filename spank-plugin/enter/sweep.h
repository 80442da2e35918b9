// Removing what no step needs any more.
#pragma once

#include "error.h"
#include "tree_store.h"

// Removes the complete trees that nothing mounts and no named container is made of, the partial ones that
// nobody works on, and whatever else lies in the store; with the last tree also what files were remembered.
// Trees whose lock is held are left alone. Goes on after a failure and reports the last one.
int sweep(const struct tree_store *store, struct error *err);
