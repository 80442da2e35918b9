#include "root_file.hh"
#include "cpio_header.hh"
#include "refusal.hh"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace stowage {

namespace {

constexpr size_t tar_block = 512, tar_checksum = 148, tar_checksum_size = 8;
constexpr size_t sif_magic = 32;

// POSIX sums unsigned bytes; some old writers summed signed ones.
bool is_tar_header(const uint8_t *block) {
    int64_t unsigned_sum = 0, signed_sum = 0;
    for (size_t i = 0; i < tar_block; i++) {
        const bool inside = i >= tar_checksum && i < tar_checksum + tar_checksum_size;
        unsigned_sum += inside ? ' ' : block[i];
        signed_sum += inside ? ' ' : static_cast<int8_t>(block[i]);
    }
    int64_t said = 0;
    const uint8_t *const field = block + tar_checksum;
    size_t i = 0;
    while (i < tar_checksum_size && field[i] == ' ')
        i++;
    for (; i < tar_checksum_size && field[i] >= '0' && field[i] <= '7'; i++)
        said = said * 8 + (field[i] - '0');
    // A block of zeros sums up to eight blanks.
    return said != 0 && (said == unsigned_sum || said == signed_sum);
}

} // namespace

std::optional<RootFileKind> root_file_kind(const uint8_t *start, size_t size) {
    const std::string_view text(reinterpret_cast<const char *>(start), size);
    if (text.substr(0, 4) == "hsqs" || text.substr(0, 4) == "sqsh")
        return RootFileKind::squashfs;
    if (size > sif_magic && text.substr(sif_magic, 9) == "SIF_MAGIC")
        return RootFileKind::sif;
    return std::nullopt;
}

std::optional<RootFileKind> stream_kind(const uint8_t *start, size_t size) {
    if (size >= cpio_magic_size && cpio_format_of(start) != CpioFormat::none)
        return RootFileKind::cpio;
    if (size >= tar_block && is_tar_header(start))
        return RootFileKind::tar;
    return std::nullopt;
}

void refuse_unknown_file() {
    refuse_image(
        "the file is no image that Stowage knows; it takes root file systems as tar or cpio (plain, or "
        "compressed with gzip, bzip2, xz or zstd), squashfs 4.0 and SIF, and archives made by docker "
        "save, podman save or skopeo");
}

void refuse_compressed_archive() {
    refuse_image(
        "the file is an image archive, as docker save and podman save write them, that is compressed "
        "as a whole; decompress it first, and give Stowage the archive itself");
}

} // namespace stowage
