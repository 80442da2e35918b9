// Shutting this process in: afterwards it reaches nothing but the image and /dev/fuse.
#pragma once

#include "error.h"

// Closes every descriptor but standard error, `image` and `device`, enters namespaces of its own with an
// empty root directory, gives up all capabilities, ignores every signal that can be ignored, and installs the
// system call filter. The process must have one thread.
//
// In the mount namespace of the step this process would keep that namespace, and with it the file system that
// it serves, for ever.
int confine(int image, int device, struct error *err);
