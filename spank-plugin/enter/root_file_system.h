// The root of a step's container: the image below, a writable layer of the step above.
#pragma once

#include "error.h"

// Mounts `lower` through an overlay whose upper layer is a tmpfs of this mount namespace: it lives and dies
// with the step. `lower` is an absolute path without ':', ',' and '\', or that of a descriptor,
// /proc/self/fd/N. `mount_point` is a directory of the user; what it holds is hidden. Returns a descriptor of
// the new root, or -1.
int root_mount(const char *lower, const char *mount_point, struct error *err);

// The same with an upper layer in the directory `mount_point` itself, made if missing, which so outlives the
// mount namespace. It must not be mounted anywhere else.
int root_mount_kept(const char *lower, const char *mount_point, struct error *err);

// Nothing can be written to the image any more; what is mounted below stays as it is.
int root_make_read_only(int root, struct error *err);

// Makes `root` this process's / and lets go of everything else.
int root_pivot(int root, struct error *err);
