// Decompressing the blocks of squashfs images, each of which stands alone.
#pragma once

#include "squashfs_super.hh"

#include <memory>

namespace stowage {

class SquashfsDecoder {
  public:
    virtual ~SquashfsDecoder() = default;
    // The number of bytes that `out` got. Throws Refusal for damage, and for blocks that want more room.
    virtual size_t decode(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size) = 0;
};

std::unique_ptr<SquashfsDecoder> make_squashfs_decoder(SquashfsCompression compression);

} // namespace stowage
