// A squashfs image that is mounted instead of unpacked.
#pragma once

#include "error.h"

// Name of the one file in the tree of such an image.
#define SQUASHFS_IMAGE "image.squashfs"

// Mounts `<tree>/image.squashfs` on `tree` itself, so that the tree looks in this mount namespace as if it
// were unpacked: whoever looks for its users finds them as ever. Call in the step's namespaces. The server,
// stowage-squashfuse, is looked up beside this program; it ends when nothing mounts the image any more.
int squashfs_mount(const char *tree, struct error *err);
