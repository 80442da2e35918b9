// Which trees are in use: the kernel says so, in the mount tables of the node's processes.
#pragma once

#include "error.h"

#include <stdbool.h>

// Whether a live process has `path` as the lower layer of an overlay.
int tree_is_mounted(const char *path, bool *mounted, struct error *err);

// The same for the upper layer.
int upper_is_mounted(const char *path, bool *mounted, struct error *err);
