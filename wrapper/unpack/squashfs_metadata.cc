#include "squashfs_metadata.hh"
#include "little_endian.hh"

#include <algorithm>
#include <cstring>

namespace stowage {

namespace {

constexpr uint16_t stored_flag = 0x8000;
constexpr uint32_t elements_per_block = 512;

} // namespace

void SquashfsMetadata::read(Place &place, void *buffer, size_t size) {
    auto *out = static_cast<uint8_t *>(buffer);
    while (size > 0) {
        const Block &block = load(place.block);
        if (place.offset > block.size)
            refuse_damaged_squashfs("a place in its metadata lies beyond its block");
        const size_t part = std::min(size, block.size - place.offset);
        if (part == 0) {
            place = {block.next, 0};
            continue;
        }
        memcpy(out, block.bytes.data() + place.offset, part);
        out += part;
        size -= part;
        place.offset += static_cast<uint32_t>(part);
    }
}

void SquashfsMetadata::skip(Place &place, uint64_t size) {
    uint8_t skipped[256];
    while (size > 0) {
        const size_t part = std::min<uint64_t>(size, sizeof skipped);
        read(place, skipped, part);
        size -= part;
    }
}

SquashfsMetadata::Place SquashfsMetadata::place_in_table(uint64_t list, uint32_t index) const {
    uint8_t raw[8];
    if (!image_.contains(list, 0))
        refuse_damaged_squashfs("its tables lie outside of it");
    image_.read(list + uint64_t{index / elements_per_block} * sizeof raw, raw, sizeof raw);
    return {le64(raw), index % elements_per_block * 16};
}

const SquashfsMetadata::Block &SquashfsMetadata::load(uint64_t at) {
    for (const Block &block : cache_)
        if (block.at == at && at != 0)
            return block;
    uint8_t raw[2];
    if (at == 0 || !image_.contains(at, sizeof raw))
        refuse_damaged_squashfs("its metadata leads out of it");
    image_.read(at, raw, sizeof raw);
    const uint16_t header = le16(raw);
    const size_t stored = header & static_cast<uint16_t>(~stored_flag);
    // A block without content would be read for ever.
    if (stored == 0 || stored > block_bytes || !image_.contains(at + sizeof raw, stored))
        refuse_damaged_squashfs("a block of its metadata has an impossible size");

    Block &block = cache_[oldest_];
    oldest_ = (oldest_ + 1) % cached_blocks;
    block.at = 0;
    block.bytes.resize(block_bytes);
    if (header & stored_flag) {
        image_.read(at + sizeof raw, block.bytes.data(), stored);
        block.size = stored;
    } else {
        image_.read(at + sizeof raw, compressed_.data(), stored);
        block.size = decoder_.decode(compressed_.data(), stored, block.bytes.data(), block_bytes);
        if (block.size == 0)
            refuse_damaged_squashfs("a block of its metadata is empty");
    }
    block.next = at + sizeof raw + stored;
    block.at = at;
    return block;
}

} // namespace stowage
