// Named containers when jobs end.
#pragma once

#include "error.h"
#include "tree_store.h"

#include <stdbool.h>
#include <stdint.h>

// Removes the named containers of a job that has ended on this node.
int named_remove(const struct tree_store *store, uint32_t job_id, struct error *err);

// Whether a container of any job is made of the tree `name`.
bool named_uses_tree(const struct tree_store *store, const char *name);
