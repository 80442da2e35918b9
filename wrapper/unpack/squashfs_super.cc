#include "squashfs_super.hh"
#include "little_endian.hh"
#include "refusal.hh"

#include <array>
#include <cstring>

namespace stowage {

namespace {

constexpr size_t super_bytes = 96;
constexpr unsigned smallest_block_log = 12, largest_block_log = 20;

void check_version(const uint8_t *raw) {
    // Versions 1 to 3 came in both orders of bytes.
    const bool is_big_endian = memcmp(raw, "sqsh", 4) == 0;
    const unsigned major = is_big_endian ? raw[28] << 8 | raw[29] : le16(raw + 28);
    const unsigned minor = is_big_endian ? raw[30] << 8 | raw[31] : le16(raw + 30);
    if (major != 4 || minor != 0 || is_big_endian)
        refuse_image("the squashfs image is of version " + std::to_string(major) + '.' +
                     std::to_string(minor) +
                     ", but Stowage and Linux read 4.0; make it again with mksquashfs 4.0 or later");
}

SquashfsCompression compression_of(unsigned id) {
    switch (id) {
    case 1:
    case 3:
    case 4:
    case 5:
    case 6:
        return static_cast<SquashfsCompression>(id);
    case 2:
        refuse_image(
            "the squashfs image is compressed with lzma, which Linux does not read; make it again with "
            "mksquashfs -comp zstd");
    default:
        refuse_damaged_squashfs("its compression has the unknown number " + std::to_string(id));
    }
}

} // namespace

SquashfsSuper read_squashfs_super(const FileWindow &image) {
    std::array<uint8_t, super_bytes> raw;
    if (image.read_some(0, raw.data(), raw.size()) != raw.size())
        refuse_damaged_squashfs("it ends within its first 96 bytes");
    if (memcmp(raw.data(), "hsqs", 4) != 0 && memcmp(raw.data(), "sqsh", 4) != 0)
        refuse_damaged_squashfs("it does not begin as one");
    check_version(raw.data());

    SquashfsSuper super;
    super.made = le32(&raw[8]);
    super.block_bytes = le32(&raw[12]);
    super.fragments = le32(&raw[16]);
    super.compression = compression_of(le16(&raw[20]));
    super.root_inode = le64(&raw[32]);
    super.used_bytes = le64(&raw[40]);
    super.attribute_table = le64(&raw[56]);
    super.inode_table = le64(&raw[64]);
    super.directory_table = le64(&raw[72]);
    super.fragment_table = le64(&raw[80]);

    const unsigned block_log = le16(&raw[22]);
    if (block_log < smallest_block_log || block_log > largest_block_log ||
        super.block_bytes != uint32_t{1} << block_log)
        refuse_damaged_squashfs("its block size of " + std::to_string(super.block_bytes) + " is impossible");
    if (super.used_bytes > image.length())
        refuse_damaged_squashfs("it is truncated, having " + std::to_string(image.length()) + " of " +
                                std::to_string(super.used_bytes) + " bytes");
    if (super.inode_table < super_bytes || super.inode_table >= super.directory_table ||
        super.directory_table >= super.used_bytes)
        refuse_damaged_squashfs("its tables lie outside of it");
    return super;
}

void refuse_damaged_squashfs(const std::string &what) {
    refuse_image("the squashfs image is damaged: " + what + "; copy or make it again");
}

} // namespace stowage
