// Host files and directories to be shown inside the container.
#pragma once

#include "error.h"

#include <stowage/v1/image.pb-c.h>

// Makes a copy of the mount at the source, with the flags that the plan says, attached nowhere yet. *source
// receives a descriptor of it, or -1 if it is to be left out because the source is not there.
int bind_mount_make(const Stowage__V1__Mount *mount, int *source, struct error *err);
