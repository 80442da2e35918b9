// What the container shows besides the image.
#pragma once

#include "error.h"

#include <stowage/v1/image.pb-c.h>

// Makes `count` mounts of a plan below `root`, in order. Sources are looked up on the host, targets inside
// the root. A failure is told with what asked for the mount. Those with an origin go neither over /proc or
// /sys nor over the root directory.
int mounts_make(int root, Stowage__V1__Mount *const *mounts, size_t count, struct error *err);
