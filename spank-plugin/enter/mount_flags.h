// What the plan says of a mount, in the kernel's words.
#pragma once

#include <stdint.h>
#include <stowage/v1/image.pb-c.h>
#include <sys/mount.h>

// For mount_setattr(2) and fsmount(2): MOUNT_ATTR_RDONLY and so on.
uint64_t mount_flags_attributes(const Stowage__V1__Mount *mount);

// For mount_setattr(2): MS_PRIVATE and so on; 0 to leave it as it comes.
uint64_t mount_flags_propagation(const Stowage__V1__Mount *mount);

// For open_tree(2): a copy of the mount at the source, with or without those below.
unsigned mount_flags_copy(const Stowage__V1__Mount *mount);
