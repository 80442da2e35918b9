// The bytes of a file.
#pragma once

#include "image.h"

// Reads up to `size` bytes of the regular file from `offset` on. Returns how many, less only at the end of
// the file, or a negative errno.
ssize_t content_read(struct reader *reader, const sqfs_inode_generic_t *inode, uint64_t offset,
                     uint8_t *buffer, size_t size);
