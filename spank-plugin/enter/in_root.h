// Paths inside the container's root, resolved so that nothing in the image leads out of it: "..", absolute
// symlinks and magic links all stay below `root` (openat2(2) with RESOLVE_IN_ROOT, Linux 5.6).
#pragma once

#include "error.h"

#include <sys/types.h>

// As open(2), inside root, with O_CLOEXEC. Returns -1 with errno set.
int in_root_open(int root, const char *path, int flags);

// Makes the directory `path` and all above it that are missing. Returns a descriptor (O_PATH) of it, or -1.
int in_root_make_directory(int root, const char *path, struct error *err);

// Opens `path` (O_PATH), made as an empty file if missing. A symlink that leads nowhere gives way to the
// file.
int in_root_make_file(int root, const char *path, struct error *err);

// Makes `path` anew as an empty file, open for writing; whatever was there is unlinked first, so that the
// image's own file or the target of its symlink is never written to.
int in_root_replace(int root, const char *path, mode_t mode, struct error *err);
