// The one layer of an image: all files below a directory, as a tar archive in the pax format.
#pragma once

#include "error.h"
#include "outer.h"

// Writes the blob that is under way. All files become root's; sockets, which no archive can hold, are left
// out.
int layer_write(struct outer *outer, const char *directory, struct error *err);
