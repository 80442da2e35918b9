// Makes the container's dynamic loader look into further directories first, as ldconfig(8) does.
#pragma once

#include "error.h"

#include <stowage/v1/image.pb-c.h>

// Names plan->library_directories in the container's ld.so.conf, so that an ldconfig in there keeps them, and
// makes its ld.so.cache by the host's ldconfig: the image needs none. Does nothing for an image without
// glibc's loader, which is the only one that reads it.
int library_cache_update(int root, const Stowage__V1__ContainerPlan *plan, struct error *err);
