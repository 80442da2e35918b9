#include "squashfs_reader.hh"
#include "entry_name.hh"
#include "little_endian.hh"

#include <algorithm>

namespace stowage {

namespace {

constexpr uint32_t most_in_group = 256;
constexpr uint16_t directory_type = 1;
constexpr uint32_t stored_flag = 1 << 24;

} // namespace

SquashfsReader::SquashfsReader(const FileWindow &image)
    : super_(read_squashfs_super(image)), image_(image.part(0, super_.used_bytes)),
      decoder_(make_squashfs_decoder(super_.compression)), inodes_(image_, *decoder_),
      directories_(image_, *decoder_), blocks_(image_, *decoder_), fragments_(image_, *decoder_),
      attributes_(image_, super_, *decoder_), compressed_(super_.block_bytes), block_(super_.block_bytes) {
}

bool SquashfsReader::next(Entry &entry) {
    inode_ = {};
    offset_ = 0;
    if (!begun_) {
        begun_ = true;
        describe(super_.root_inode, ".", entry);
        if (entry.type != EntryType::directory)
            refuse_damaged_squashfs("its root is no directory");
        enter(super_.root_inode, "");
        return true;
    }
    while (!listings_.empty()) {
        Item item;
        if (!next_item(listings_.back(), item)) {
            listings_.pop_back();
            continue;
        }
        const std::string &path = listings_.back().path;
        const std::string name = path.empty() ? item.name : path + '/' + item.name;
        describe(item.inode, name, entry);
        if ((item.type == directory_type) != (entry.type == EntryType::directory))
            refuse_damaged_squashfs("the entry " + quoted(name) + " is not of the type its directory says");
        if (entry.type == EntryType::directory)
            enter(item.inode, name);
        return true;
    }
    return false;
}

void SquashfsReader::describe(uint64_t reference, const std::string &name, Entry &entry) {
    inode_ = read_squashfs_inode(inodes_, super_, reference);
    entry = {};
    entry.name = name;
    entry.type = inode_.type;
    entry.mode = inode_.mode;
    entry.mtime = {inode_.mtime, 0};
    if (inode_.type != EntryType::special && links_.join(reference, inode_.links, entry)) {
        inode_.size = 0;
        return;
    }
    entry.size = inode_.size;
    entry.stored_bytes = inode_.size - std::min(inode_.size, inode_.hole_bytes);
    entry.link_target = inode_.target;
    entry.attributes = attributes_.read(inode_.attributes);
}

void SquashfsReader::enter(uint64_t reference, const std::string &path) {
    if (entered_.contains(reference))
        refuse_damaged_squashfs("the directory " + quoted(path) +
                                " stands in a second place, or inside itself");
    entered_.insert(reference);
    Listing listing;
    listing.path = path;
    listing.place = inode_.listing;
    listing.left = inode_.listing_bytes;
    listings_.push_back(std::move(listing));
}

bool SquashfsReader::next_item(Listing &listing, Item &item) {
    if (listing.left == 0) {
        if (listing.in_group > 0)
            refuse_damaged_squashfs("the directory " + quoted(listing.path) + " ends early");
        return false;
    }
    uint8_t raw[12];
    if (listing.in_group == 0) {
        take(listing, raw, 12);
        listing.in_group = le32(raw) + 1;
        listing.inode_block = le32(raw + 4);
        if (listing.in_group == 0 || listing.in_group > most_in_group)
            refuse_damaged_squashfs("the directory " + quoted(listing.path) + " counts its names wrongly");
    }
    take(listing, raw, 8);
    listing.in_group--;
    item.inode = uint64_t{listing.inode_block} << 16 | le16(raw);
    item.type = le16(raw + 4);
    item.name.resize(size_t{le16(raw + 6)} + 1);
    take(listing, item.name.data(), item.name.size());
    if (item.name.find('/') != std::string::npos || item.name.find('\0') != std::string::npos ||
        item.name == "." || item.name == "..")
        refuse_damaged_squashfs("the directory " + quoted(listing.path) + " holds the impossible name " +
                                quoted(item.name));
    // Linux looks names up in order, so that all writers sort them.
    if (item.name <= listing.last)
        refuse_damaged_squashfs("the directory " + quoted(listing.path) + " holds the name " +
                                quoted(item.name) + " twice, or out of order");
    listing.last = item.name;
    return true;
}

void SquashfsReader::take(Listing &listing, void *buffer, size_t size) {
    if (size > listing.left)
        refuse_damaged_squashfs("the directory " + quoted(listing.path) + " ends early");
    directories_.read(listing.place, buffer, size);
    listing.left -= size;
}

bool SquashfsReader::read(Bytes &piece, uint64_t &offset) {
    while (offset_ < inode_.size) {
        const uint64_t left = inode_.size - offset_;
        const size_t size = std::min<uint64_t>(left, super_.block_bytes);
        offset = offset_;
        offset_ += size;
        if (size < super_.block_bytes && inode_.fragment != squashfs_none) {
            const Fragment &fragment = load_fragment(inode_.fragment);
            if (inode_.fragment_offset > fragment.size || size > fragment.size - inode_.fragment_offset)
                refuse_damaged_squashfs("the end of a file lies outside of its fragment");
            piece = {fragment.bytes.data() + inode_.fragment_offset, size};
            return true;
        }
        uint8_t raw[4];
        blocks_.read(inode_.blocks, raw, sizeof raw);
        const uint32_t word = le32(raw);
        if (word == 0) // a hole
            continue;
        if (read_block(word, inode_.data, block_.data(), size) != size)
            refuse_damaged_squashfs("a file's block is too short");
        inode_.data += word & (stored_flag - 1);
        piece = {block_.data(), size};
        return true;
    }
    return false;
}

// `word` is the size in the image, and whether the block is stored uncompressed.
size_t SquashfsReader::read_block(uint32_t word, uint64_t position, uint8_t *out, size_t out_size) {
    const size_t stored = word & (stored_flag - 1);
    if (stored == 0 || stored > super_.block_bytes || word >= stored_flag << 1)
        refuse_damaged_squashfs("a block has an impossible size");
    if (!image_.contains(position, stored))
        refuse_damaged_squashfs("a block lies outside of it");
    if (!(word & stored_flag)) {
        image_.read(position, compressed_.data(), stored);
        return decoder_->decode(compressed_.data(), stored, out, out_size);
    }
    if (stored > out_size)
        refuse_damaged_squashfs("a block has an impossible size");
    image_.read(position, out, stored);
    return stored;
}

const SquashfsReader::Fragment &SquashfsReader::load_fragment(uint32_t index) {
    Fragment &fragment = cache_[index % cached_fragments];
    if (fragment.index == index)
        return fragment;
    if (index >= super_.fragments || super_.fragment_table == squashfs_no_table)
        refuse_damaged_squashfs("the end of a file lies in a fragment that does not exist");
    SquashfsMetadata::Place place = fragments_.place_in_table(super_.fragment_table, index);
    uint8_t raw[16];
    fragments_.read(place, raw, sizeof raw);
    fragment.index = squashfs_none;
    fragment.bytes.resize(super_.block_bytes);
    fragment.size = read_block(le32(raw + 8), le64(raw), fragment.bytes.data(), fragment.bytes.size());
    fragment.index = index;
    return fragment;
}

} // namespace stowage
