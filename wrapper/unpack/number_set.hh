// A set of 64-bit numbers that takes 16 bytes a number or less: images have millions of files.
#pragma once

#include <cstdint>
#include <vector>

namespace stowage {

class NumberSet {
  public:
    void insert(uint64_t number) {
        number |= number == 0;
        if ((count_ + 1) * 4 > slots_.size() * 3)
            grow();
        uint64_t &slot = slot_of(number);
        count_ += slot == 0;
        slot = number;
    }
    bool contains(uint64_t number) {
        number |= number == 0;
        return count_ > 0 && slot_of(number) == number;
    }
    void clear() {
        slots_.clear();
        count_ = 0;
    }

  private:
    uint64_t &slot_of(uint64_t number) {
        const size_t mask = slots_.size() - 1;
        size_t i = (number * 0x9e3779b97f4a7c15u) >> 17 & mask;
        while (slots_[i] != 0 && slots_[i] != number)
            i = (i + 1) & mask;
        return slots_[i];
    }
    void grow() {
        std::vector<uint64_t> old(slots_.empty() ? 1024 : slots_.size() * 2);
        old.swap(slots_);
        for (const uint64_t number : old)
            if (number != 0)
                slot_of(number) = number;
    }

    std::vector<uint64_t> slots_; // a power of two of them; 0 is free
    size_t count_ = 0;
};

} // namespace stowage
