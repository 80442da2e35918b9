#include "squashfs_inode.hh"
#include "little_endian.hh"

#include <climits>

namespace stowage {

namespace {

// The size of a directory counts "." and "..", which are not stored.
constexpr uint32_t bytes_of_dots = 3;

enum Kind : uint16_t {
    directory = 1,
    file,
    symlink,
    block_device,
    character_device,
    fifo,
    socket,
    long_directory,
    long_file,
    long_symlink,
    long_block_device,
    long_character_device,
    long_fifo,
    long_socket,
};

void read_listing(SquashfsInode &inode, const SquashfsSuper &super, uint32_t block, uint32_t offset,
                  uint32_t size) {
    inode.listing = {super.directory_table + block, offset};
    inode.listing_bytes = size > bytes_of_dots ? size - bytes_of_dots : 0;
}

void read_target(SquashfsMetadata &metadata, SquashfsMetadata::Place &place, uint32_t size,
                 SquashfsInode &inode) {
    if (size >= PATH_MAX)
        refuse_damaged_squashfs("a symbolic link's target is longer than Linux allows");
    inode.target.resize(size);
    metadata.read(place, inode.target.data(), size);
    if (inode.target.find('\0') != std::string::npos)
        refuse_damaged_squashfs("a symbolic link's target contains a NUL byte");
}

} // namespace

SquashfsInode read_squashfs_inode(SquashfsMetadata &metadata, const SquashfsSuper &super,
                                  uint64_t reference) {
    SquashfsMetadata::Place place = SquashfsMetadata::place_of(super.inode_table, reference);
    uint8_t head[16], raw[40];
    metadata.read(place, head, sizeof head);
    const uint16_t kind = le16(head);
    SquashfsInode inode;
    inode.type = EntryType::special;
    inode.mode = le16(head + 2) & 07777;
    inode.mtime = le32(head + 8);
    switch (kind) {
    case directory:
        inode.type = EntryType::directory;
        metadata.read(place, raw, 16);
        read_listing(inode, super, le32(raw), le16(raw + 10), le16(raw + 8));
        break;
    case long_directory:
        inode.type = EntryType::directory;
        metadata.read(place, raw, 24);
        read_listing(inode, super, le32(raw + 8), le16(raw + 18), le32(raw + 4));
        inode.attributes = le32(raw + 20);
        break;
    case file:
        inode.type = EntryType::file;
        metadata.read(place, raw, 16);
        inode.data = le32(raw);
        inode.fragment = le32(raw + 4);
        inode.fragment_offset = le32(raw + 8);
        inode.size = le32(raw + 12);
        inode.blocks = place;
        break;
    case long_file:
        inode.type = EntryType::file;
        metadata.read(place, raw, 40);
        inode.data = le64(raw);
        inode.size = le64(raw + 8);
        inode.hole_bytes = le64(raw + 16);
        inode.links = le32(raw + 24);
        inode.fragment = le32(raw + 28);
        inode.fragment_offset = le32(raw + 32);
        inode.attributes = le32(raw + 36);
        inode.blocks = place;
        break;
    case symlink:
    case long_symlink:
        inode.type = EntryType::symlink;
        metadata.read(place, raw, 8);
        inode.links = le32(raw);
        read_target(metadata, place, le32(raw + 4), inode);
        break;
    case block_device:
    case character_device:
    case fifo:
    case socket:
    case long_block_device:
    case long_character_device:
    case long_fifo:
    case long_socket:
        break;
    default:
        refuse_damaged_squashfs("an inode has the unknown type " + std::to_string(kind));
    }
    if (inode.size > INT64_MAX)
        refuse_damaged_squashfs("a file has an impossible size");
    return inode;
}

} // namespace stowage
