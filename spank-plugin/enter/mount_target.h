// Where in the container something is mounted, or unmounted.
#pragma once

#include "error.h"

#include <stdbool.h>

// Opens `path` (O_PATH) inside `root`, made if missing, as a directory or an empty file. With `guarded`,
// refuses the root directory itself, /proc, /sys and what is below these, whichever way `path` leads there.
int mount_target_make(int root, const char *path, bool directory, bool guarded, struct error *err);

// Opens `path` (O_PATH) inside `root` if something is mounted on it. Returns -1 otherwise, and for what
// mount_target_make() refuses.
int mount_target_find(int root, const char *path, struct error *err);
