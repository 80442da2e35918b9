// A /dev in which there is room for more than the host has.
#pragma once

#include "error.h"

// Puts a directory in the place of the container's /dev that has all that was there, as it was, and belongs
// to the step. What the host makes in its own from now on does not appear.
int device_directory_make(int root, struct error *err);
