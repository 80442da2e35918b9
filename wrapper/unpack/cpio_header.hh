// The four headers of cpio archives. Pure.
//
// Their layouts are in cpio(5) of FreeBSD and Documentation/driver-api/early-userspace/buffer-format.rst of
// Linux.
#pragma once

#include <cstddef>
#include <cstdint>

namespace stowage {

enum class CpioFormat { none, odc, newc, crc, binary, swapped_binary };

struct CpioHeader {
    CpioFormat format;
    uint64_t device; // major and minor joined, only to be compared
    uint64_t inode;
    uint32_t mode; // with the bits of the type
    uint32_t links;
    int64_t mtime;
    uint64_t name_size; // with the NUL
    uint64_t size;
    uint32_t checksum; // of crc only

    // Old headers have too few bits for inode numbers, but repeat the content with each link.
    bool is_new() const {
        return format == CpioFormat::newc || format == CpioFormat::crc;
    }
};

constexpr size_t cpio_magic_size = 6;

// By the first six bytes of a header.
CpioFormat cpio_format_of(const uint8_t *magic);

size_t cpio_header_size(CpioFormat format);

// What names and contents, together with the header before a name, are padded to: 1, 2 or 4.
size_t cpio_alignment(CpioFormat format);

// False if a field is no number.
bool parse_cpio_header(CpioFormat format, const uint8_t *bytes, CpioHeader &header);

} // namespace stowage
