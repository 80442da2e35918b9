// Decompression of a squashfs image's blocks: what libsquashfs has, and LZO, which Debian builds it without.
#pragma once

#include <sqfs/compressor.h>
#include <sqfs/super.h>

// For one thread. Release it with sqfs_destroy(). Returns 0 or a code of libsquashfs.
int decompressor_create(const sqfs_super_t *super, sqfs_compressor_t **out);
