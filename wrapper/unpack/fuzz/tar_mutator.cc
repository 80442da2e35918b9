// Mutations for tar: whole blocks are moved about, and checksums made good again, without which a mutated
// header would never be read.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

namespace {

constexpr size_t block_size = 512;
constexpr size_t checksum_offset = 148;
constexpr size_t checksum_size = 8;
constexpr size_t type_offset = 156;
constexpr size_t size_offset = 124;

bool looks_like_header(const uint8_t *block) {
    const uint8_t *const sum = block + checksum_offset;
    return std::all_of(sum, sum + 6, [](uint8_t byte) { return byte >= '0' && byte <= '7'; }) ||
           memcmp(block + 257, "ustar", 5) == 0;
}

void repair_checksum(uint8_t *block) {
    uint8_t *const sum = block + checksum_offset;
    memset(sum, ' ', checksum_size);
    unsigned total = 0;
    for (size_t i = 0; i < block_size; i++)
        total += block[i];
    char text[checksum_size + 1];
    snprintf(text, sizeof text, "%06o", total & 0777777);
    memcpy(sum, text, 7);
}

// Copies, moves, swaps or removes blocks, or gives a header another type or size.
size_t shuffle(uint8_t *data, size_t size, size_t max_size, std::minstd_rand &random) {
    const size_t blocks = size / block_size;
    if (blocks == 0)
        return size;
    uint8_t *const from = data + random() % blocks * block_size;
    uint8_t *const to = data + random() % blocks * block_size;
    switch (random() % 5) {
    case 0:
        memmove(to, from, block_size);
        return size;
    case 1:
        if (size + block_size > max_size)
            return size;
        memmove(to + block_size, to, static_cast<size_t>(data + size - to));
        return size + block_size;
    case 2:
        memmove(to, to + block_size, static_cast<size_t>(data + size - to) - block_size);
        return size - block_size;
    case 3:
        from[type_offset] = static_cast<uint8_t>("01234567SxgLKVAX"[random() % 16]);
        return size;
    default:
        snprintf(reinterpret_cast<char *>(from + size_offset), 12, "%011o",
                 static_cast<unsigned>(random() % 2048));
        return size;
    }
}

} // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    std::minstd_rand random(seed);
    const size_t mutated =
        random() % 3 == 0 ? shuffle(data, size, max_size, random) : LLVMFuzzerMutate(data, size, max_size);
    if (random() % 16 != 0)
        for (size_t at = 0; at + block_size <= mutated; at += block_size)
            if (looks_like_header(data + at))
                repair_checksum(data + at);
    return mutated;
}
