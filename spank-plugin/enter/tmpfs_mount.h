// File systems in memory.
#pragma once

#include "error.h"

#include <stowage/v1/image.pb-c.h>

// Makes what the plan says, owned by the user and attached nowhere yet. Returns a descriptor of it, or -1.
int tmpfs_mount_make(const Stowage__V1__Mount *mount, struct error *err);
