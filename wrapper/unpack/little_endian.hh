// Numbers in the order of bytes that squashfs and SIF use.
#pragma once

#include <cstdint>

namespace stowage {

inline uint16_t le16(const uint8_t *at) {
    return static_cast<uint16_t>(at[0] | at[1] << 8);
}

inline uint32_t le32(const uint8_t *at) {
    return le16(at) | uint32_t{le16(at + 2)} << 16;
}

inline uint64_t le64(const uint8_t *at) {
    return le32(at) | uint64_t{le32(at + 4)} << 32;
}

} // namespace stowage
