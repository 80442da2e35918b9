#include "cpio_header.hh"

#include <cstring>

namespace stowage {

namespace {

// Goes from field to field of a header in ASCII digits.
class Digits {
  public:
    Digits(const uint8_t *at, unsigned base) : at_(at), base_(base) {
    }
    uint64_t take(size_t width) {
        uint64_t value = 0;
        for (; width > 0; width--) {
            const unsigned digit = value_of(*at_++);
            ok_ = ok_ && digit < base_;
            value = value * base_ + digit;
        }
        return value;
    }
    bool ok() const {
        return ok_;
    }

  private:
    static unsigned value_of(uint8_t character) {
        if (character >= '0' && character <= '9')
            return character - unsigned{'0'};
        const unsigned letter = character | 0x20u;
        return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : 16;
    }

    const uint8_t *at_;
    unsigned base_;
    bool ok_ = true;
};

bool parse_odc(const uint8_t *bytes, CpioHeader &header) {
    Digits digits(bytes + cpio_magic_size, 8);
    header.device = digits.take(6);
    header.inode = digits.take(6);
    header.mode = static_cast<uint32_t>(digits.take(6));
    digits.take(6); // uid
    digits.take(6); // gid
    header.links = static_cast<uint32_t>(digits.take(6));
    digits.take(6); // rdev
    header.mtime = static_cast<int64_t>(digits.take(11));
    header.name_size = digits.take(6);
    header.size = digits.take(11);
    return digits.ok();
}

bool parse_newc(const uint8_t *bytes, CpioHeader &header) {
    Digits digits(bytes + cpio_magic_size, 16);
    header.inode = digits.take(8);
    header.mode = static_cast<uint32_t>(digits.take(8));
    digits.take(8); // uid
    digits.take(8); // gid
    header.links = static_cast<uint32_t>(digits.take(8));
    header.mtime = static_cast<int64_t>(digits.take(8));
    header.size = digits.take(8);
    header.device = digits.take(8) << 32;
    header.device |= digits.take(8);
    digits.take(8); // rdev major
    digits.take(8); // rdev minor
    header.name_size = digits.take(8);
    header.checksum = static_cast<uint32_t>(digits.take(8));
    return digits.ok();
}

// 16-bit words in either order of bytes; of two that belong together the high one comes first.
void parse_binary(const uint8_t *bytes, bool swapped, CpioHeader &header) {
    const auto word = [&](size_t index) {
        const uint8_t *const at = bytes + 2 * index;
        return static_cast<uint32_t>(swapped ? at[0] << 8 | at[1] : at[1] << 8 | at[0]);
    };
    header.device = word(1);
    header.inode = word(2);
    header.mode = word(3);
    header.links = word(6);
    header.mtime = static_cast<int64_t>(word(8) << 16 | word(9));
    header.name_size = word(10);
    header.size = word(11) << 16 | word(12);
}

} // namespace

CpioFormat cpio_format_of(const uint8_t *magic) {
    const auto is = [&](const char *text) { return memcmp(magic, text, cpio_magic_size) == 0; };
    if (is("070707"))
        return CpioFormat::odc;
    if (is("070701"))
        return CpioFormat::newc;
    if (is("070702"))
        return CpioFormat::crc;
    if (magic[0] == 0xc7 && magic[1] == 0x71)
        return CpioFormat::binary;
    if (magic[0] == 0x71 && magic[1] == 0xc7)
        return CpioFormat::swapped_binary;
    return CpioFormat::none;
}

size_t cpio_header_size(CpioFormat format) {
    switch (format) {
    case CpioFormat::odc:
        return 76;
    case CpioFormat::newc:
    case CpioFormat::crc:
        return 110;
    default:
        return 26;
    }
}

size_t cpio_alignment(CpioFormat format) {
    switch (format) {
    case CpioFormat::odc:
        return 1;
    case CpioFormat::newc:
    case CpioFormat::crc:
        return 4;
    default:
        return 2;
    }
}

bool parse_cpio_header(CpioFormat format, const uint8_t *bytes, CpioHeader &header) {
    header = {};
    header.format = format;
    switch (format) {
    case CpioFormat::odc:
        return parse_odc(bytes, header);
    case CpioFormat::newc:
    case CpioFormat::crc:
        return parse_newc(bytes, header);
    case CpioFormat::binary:
    case CpioFormat::swapped_binary:
        parse_binary(bytes, format == CpioFormat::swapped_binary, header);
        return true;
    case CpioFormat::none:
        return false;
    }
    return false;
}

} // namespace stowage
