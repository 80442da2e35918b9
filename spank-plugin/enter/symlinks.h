// Symbolic links that devices put into the container.
#pragma once

#include "error.h"

#include <stowage/v1/image.pb-c.h>

// Directories that are missing are made. What is there gives way, unless it is a directory.
int symlinks_make(int root, const Stowage__V1__ContainerPlan *plan, struct error *err);
