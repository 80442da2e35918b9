#include "file_inflater.hh"

#include <cstring>
#include <string_view>

namespace stowage {

std::string compression_of(const uint8_t *start, size_t size) {
    const std::string_view text(reinterpret_cast<const char *>(start), size);
    const auto begins = [&](std::string_view magic) { return text.substr(0, magic.size()) == magic; };
    if (begins("\x1f\x8b"))
        return "gzip";
    // RFC 8878: skippable frames have the magic numbers 0x184D2A50 to 0x184D2A5F.
    if (begins("\x28\xb5\x2f\xfd") ||
        (size >= 4 && (start[0] & 0xf0) == 0x50 && text.substr(1, 3) == "\x2a\x4d\x18"))
        return "zstd";
    if (begins("BZh"))
        return "bzip2";
    using namespace std::literals;
    if (begins("\xfd\x37zXZ\0"sv))
        return "xz";
    return "";
}

std::unique_ptr<Inflater> make_file_inflater(const uint8_t *start, size_t size) {
    const std::string compression = compression_of(start, size);
    if (compression == "bzip2")
        return make_bzip2_inflater();
    if (compression == "xz")
        return make_xz_inflater();
    return make_inflater(start, size);
}

} // namespace stowage
