// Inflates into the blocks of a ring, whose stage 0 it is.
#pragma once

#include "block_ring.hh"
#include "inflate.hh"

namespace stowage {

class BlockFiller {
  public:
    // `ring` must outlive the filler.
    explicit BlockFiller(BlockRing &ring) : ring_(ring) {
    }

    // Inflates `size` bytes of data, passing on each block that is full. False when the ring was stopped.
    // Throws what the inflater throws.
    bool inflate(Inflater &inflater, const uint8_t *data, size_t size);
    // Passes on what is there as the last block, full or not. False when the ring was stopped.
    bool end();

  private:
    bool has_block();

    BlockRing &ring_;
    Block *filling_ = nullptr; // taken, not passed on
};

} // namespace stowage
