// Removing a directory and all that is in it.
#pragma once

#include "error.h"

// Removes `name` in `parent`, whatever the modes, however deep. Follows no symlink. A name that is not there
// is no failure.
int remove_tree(int parent, const char *name, struct error *err);
