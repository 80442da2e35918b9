// A squashfs image that is open already, as libsquashfs wants to read it.
#pragma once

#include "error.h"

#include <sqfs/io.h>

// Reads through `fd`, which stays the caller's and open. One may be used by many threads. Release it with
// sqfs_destroy(). NULL and *err on failure.
sqfs_file_t *image_file_open(int fd, struct error *err);
