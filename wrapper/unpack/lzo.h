// Decompresses LZO1X, the one of the LZO family that squashfs uses. stowage-squashfuse, in C, uses it too.
//
// liblzo2 is under the GPL, which the rest of what Stowage links is not. The format is described in
// Documentation/staging/lzo.rst of Linux; this follows its first version, without run lengths.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

// The number of bytes written to `out`; -1 if the data is damaged or wants more room.
ssize_t lzo_decompress(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size);

#ifdef __cplusplus
}
#endif
