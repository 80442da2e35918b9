// Decompresses LZO1X, the one of the LZO family that squashfs uses.
//
// liblzo2 is under the GPL, which the rest of what Stowage links is not. The format is described in
// Documentation/staging/lzo.rst of Linux; this follows its first version, without run lengths.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace stowage {

// The number of bytes written to `out`; nothing if the data is damaged or wants more room.
std::optional<size_t> lzo_decompress(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size);

} // namespace stowage
