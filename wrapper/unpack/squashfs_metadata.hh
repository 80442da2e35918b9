// Reading the metadata of a squashfs image: bytes in compressed blocks of 8 KiB, one after the other.
#pragma once

#include "file_window.hh"
#include "squashfs_decoder.hh"

#include <array>
#include <vector>

namespace stowage {

class SquashfsMetadata {
  public:
    // Where a byte is: the position of its block in the image, and its offset in the uncompressed block.
    struct Place {
        uint64_t block;
        uint32_t offset;
    };

    // `image` ends where the metadata does. `decoder` must outlive this.
    SquashfsMetadata(const FileWindow &image, SquashfsDecoder &decoder) : image_(image), decoder_(decoder) {
    }

    // Of a reference, which has the block relative to `table` in its upper 48 bits.
    static Place place_of(uint64_t table, uint64_t reference) {
        return {table + (reference >> 16), static_cast<uint32_t>(reference & 0xffff)};
    }

    // Reads at `place` and moves it on. Throws Refusal for damage.
    void read(Place &place, void *buffer, size_t size);
    void skip(Place &place, uint64_t size);

    // Where number `index` is in a table of 16-byte elements, whose blocks are listed at `list`. Throws
    // Refusal.
    Place place_in_table(uint64_t list, uint32_t index) const;

  private:
    static constexpr size_t block_bytes = 8192;
    // Directories are left for the directories in them and come back to.
    static constexpr size_t cached_blocks = 16;

    struct Block {
        uint64_t at = 0; // 0 is the super block: nothing is cached
        uint64_t next = 0;
        size_t size = 0;
        std::vector<uint8_t> bytes;
    };

    const Block &load(uint64_t at);

    FileWindow image_;
    SquashfsDecoder &decoder_;
    std::array<Block, cached_blocks> cache_;
    size_t oldest_ = 0;
    std::array<uint8_t, block_bytes> compressed_;
};

} // namespace stowage
