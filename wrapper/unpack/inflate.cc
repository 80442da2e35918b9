#include "inflate.hh"
#include "refusal.hh"

#include <algorithm>
#include <cstring>
#include <string>

namespace stowage {

namespace {

class Copier : public Inflater {
  public:
    Step run(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size) override {
        const size_t size = std::min(in_size, out_size);
        if (size > 0)
            memcpy(out, in, size);
        return {size, size};
    }
    void finish() override {
    }
};

bool starts_with(const uint8_t *start, size_t size, const std::string &magic) {
    return size >= magic.size() && memcmp(start, magic.data(), magic.size()) == 0;
}

// RFC 8878: skippable frames have the magic numbers 0x184D2A50 to 0x184D2A5F.
bool is_zstd(const uint8_t *start, size_t size) {
    return starts_with(start, size, "\x28\xb5\x2f\xfd") ||
           (size >= 4 && (start[0] & 0xf0) == 0x50 && start[1] == 0x2a && start[2] == 0x4d &&
            start[3] == 0x18);
}

} // namespace

std::unique_ptr<Inflater> make_inflater(const uint8_t *start, size_t size) {
    if (starts_with(start, size, "\x1f\x8b"))
        return make_gzip_inflater();
    if (is_zstd(start, size))
        return make_zstd_inflater();
    for (const char *magic : {"BZh", "\xfd"
                                     "7zXZ"})
        if (starts_with(start, size, magic))
            refuse_image(
                "it is compressed with bzip2 or xz, which container layers may not be; rebuild the image "
                "with gzip or zstd layers");
    return std::make_unique<Copier>();
}

} // namespace stowage
