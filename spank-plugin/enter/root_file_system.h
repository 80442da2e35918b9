// The root of a step's container: the image's tree below, a writable layer of the step above.
#pragma once

#include "error.h"

// Mounts `tree` (absolute path) through an overlay whose upper layer is a tmpfs of this mount namespace: it
// lives and dies with the step. `mount_point` is an empty directory of the user. Returns a descriptor of the
// new root, or -1.
int root_mount(const char *tree, const char *mount_point, struct error *err);

// Makes `root` this process's / and lets go of everything else.
int root_pivot(int root, struct error *err);
