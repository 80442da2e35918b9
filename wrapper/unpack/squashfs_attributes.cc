#include "squashfs_attributes.hh"
#include "little_endian.hh"
#include "refusal.hh"

namespace stowage {

namespace {

constexpr uint16_t prefix_mask = 0xff, user_prefix = 0, value_is_elsewhere = 0x100;
constexpr uint32_t largest_value = 1 << 16; // XATTR_SIZE_MAX
constexpr size_t longest_name = 255;        // XATTR_NAME_MAX
constexpr uint32_t most_attributes = 1 << 16;
constexpr size_t most_bytes = 1 << 20;

} // namespace

SquashfsAttributes::SquashfsAttributes(const FileWindow &image, const SquashfsSuper &super,
                                       SquashfsDecoder &decoder)
    : image_(image), metadata_(image, decoder), table_(super.attribute_table) {
    if (table_ == squashfs_no_table)
        return;
    uint8_t raw[16];
    image_.read(table_, raw, sizeof raw);
    values_ = le64(raw);
    count_ = le32(raw + 8);
    list_ = table_ + sizeof raw;
}

std::vector<Attribute> SquashfsAttributes::read(uint32_t number) {
    std::vector<Attribute> attributes;
    if (number == squashfs_none || table_ == squashfs_no_table)
        return attributes;
    if (number >= count_)
        refuse_damaged_squashfs("an inode's extended attributes are not in its table");
    SquashfsMetadata::Place place = metadata_.place_in_table(list_, number);
    uint8_t raw[16];
    metadata_.read(place, raw, sizeof raw);
    place = SquashfsMetadata::place_of(values_, le64(raw));
    const uint32_t count = le32(raw + 8);
    if (count > most_attributes)
        refuse_damaged_squashfs("an inode has an impossible number of extended attributes");

    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        metadata_.read(place, raw, 4);
        const uint16_t type = le16(raw);
        std::string name(le16(raw + 2), '\0');
        metadata_.read(place, name.data(), name.size());
        const std::string value = read_value(place, type & value_is_elsewhere);
        // Counted whatever becomes of it: reading it took time.
        bytes += name.size() + value.size();
        if (bytes > most_bytes)
            refuse_image(
                "a file in the squashfs image has more than 1 MiB of extended attributes; make the image "
                "without them (mksquashfs -no-xattrs)");
        if ((type & prefix_mask) != user_prefix || name.size() > longest_name)
            continue;
        if (name.find('\0') != std::string::npos)
            refuse_damaged_squashfs("the name of an extended attribute contains a NUL byte");
        attributes.push_back({"user." + name, value});
    }
    return attributes;
}

std::string SquashfsAttributes::read_value(SquashfsMetadata::Place &place, bool is_elsewhere) {
    uint8_t raw[8];
    metadata_.read(place, raw, 4);
    uint32_t size = le32(raw);
    SquashfsMetadata::Place elsewhere;
    if (is_elsewhere) {
        metadata_.read(place, raw, 8);
        elsewhere = SquashfsMetadata::place_of(values_, le64(raw));
        metadata_.read(elsewhere, raw, 4);
        size = le32(raw);
    }
    if (size > largest_value)
        refuse_damaged_squashfs("an extended attribute is larger than Linux allows");
    std::string value(size, '\0');
    metadata_.read(is_elsewhere ? elsewhere : place, value.data(), size);
    return value;
}

} // namespace stowage
