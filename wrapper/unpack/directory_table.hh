// What is to become of each directory of the tree, by its inode number, in 24 bytes a slot.
#pragma once

#include <cstdint>
#include <vector>

#include <sys/stat.h>

namespace stowage {

class DirectoryTable {
  public:
    static constexpr unsigned unknown_mode = 02000, mode_bits = 01777, deepest = 1023;

    struct Meta {
        uint64_t inode = 0; // 0: the slot is free
        int64_t seconds = 0;
        uint32_t nanoseconds = UTIME_OMIT;
        uint32_t mode : 10;         // that it shall have in the end
        uint32_t present_mode : 11; // that it has, or unknown_mode
        uint32_t depth : 10;        // below the root
        uint32_t is_leaf : 1;       // has never had a directory in it
        Meta() : mode(0755), present_mode(unknown_mode), depth(0), is_leaf(1) {
        }
    };

    // The entry of `inode`, made if there is none. Valid until the next call.
    Meta &operator[](uint64_t inode) {
        if ((count_ + 1) * 4 > slots_.size() * 3)
            grow();
        Meta &slot = slot_of(inode);
        count_ += slot.inode == 0;
        slot.inode = inode;
        return slot;
    }

  private:
    Meta &slot_of(uint64_t inode) {
        const size_t mask = slots_.size() - 1;
        size_t i = (inode * 0x9e3779b97f4a7c15u) >> 17 & mask;
        while (slots_[i].inode != 0 && slots_[i].inode != inode)
            i = (i + 1) & mask;
        return slots_[i];
    }
    void grow() {
        std::vector<Meta> old(slots_.empty() ? 1024 : slots_.size() * 2);
        old.swap(slots_);
        for (const Meta &meta : old)
            if (meta.inode != 0)
                slot_of(meta.inode) = meta;
    }

    std::vector<Meta> slots_; // a power of two of them
    size_t count_ = 0;
};

static_assert(sizeof(DirectoryTable::Meta) == 24);

} // namespace stowage
