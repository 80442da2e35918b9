#include "tar_headers.hh"
#include "entry_name.hh"
#include "refusal.hh"

#include <algorithm>
#include <climits>
#include <cstring>
#include <utility>

namespace stowage {

namespace {

constexpr size_t block_size = 512;
constexpr uint64_t longest_extension = 1 << 20;
// libarchive keeps a list of a sparse file's extents in memory; 1 MiB of headers describes no more.
constexpr uint64_t most_extents = 65536;

struct Field {
    size_t offset;
    size_t size;
};
constexpr Field name_field{0, 100}, size_field{124, 12}, checksum_field{148, 8}, link_field{157, 100},
    magic_field{257, 8}, prefix_field{345, 155};
constexpr size_t type_offset = 156, header_is_extended_offset = 482, map_is_extended_offset = 504;

[[noreturn]] void damaged(const std::string &what) {
    refuse_image("the tar headers are damaged: " + what + "; rebuild the image");
}

std::string text_of(const uint8_t *block, Field field) {
    const char *const start = reinterpret_cast<const char *>(block) + field.offset;
    return std::string(start, strnlen(start, field.size));
}

bool has_magic(const uint8_t *block, std::string_view magic) {
    return memcmp(block + magic_field.offset, magic.data(), magic.size()) == 0;
}

bool is_ustar(const uint8_t *block) {
    return has_magic(block, "ustar") && !has_magic(block, "ustar  ");
}

uint64_t parse_octal(const std::string &text) {
    uint64_t value = 0;
    size_t i = text.find_first_not_of(' ');
    for (; i < text.size() && text[i] >= '0' && text[i] <= '7'; i++)
        value = value * 8 + static_cast<uint64_t>(text[i] - '0');
    return value;
}

uint64_t parse_size(const uint8_t *block, const std::string &name) {
    const uint8_t *const field = block + size_field.offset;
    if (!(field[0] & 0x80))
        return parse_octal(text_of(block, size_field));
    // GNU's base 256: big-endian, the second bit is the sign.
    if (field[0] & 0x40)
        damaged("the entry " + quoted(name) + " has a negative size");
    uint64_t value = field[0] & 0x3f;
    for (size_t i = 1; i < size_field.size; i++) {
        if (value > (INT64_MAX >> 8))
            damaged("the entry " + quoted(name) + " has an impossible size");
        value = value << 8 | field[i];
    }
    return value;
}

uint64_t parse_decimal(const std::string &text, const std::string &what) {
    uint64_t value = 0;
    for (const char digit : text) {
        if (digit < '0' || digit > '9')
            damaged(what + " is not a number but " + quoted(text));
        if (value > (INT64_MAX - static_cast<uint64_t>(digit - '0')) / 10)
            damaged(what + " is impossibly large");
        value = value * 10 + static_cast<uint64_t>(digit - '0');
    }
    if (text.empty())
        damaged(what + " is empty");
    return value;
}

// POSIX sums unsigned bytes; some old writers summed signed ones.
bool checksum_holds(const uint8_t *block) {
    int64_t unsigned_sum = 0, signed_sum = 0;
    for (size_t i = 0; i < block_size; i++) {
        const bool inside = i >= checksum_field.offset && i < checksum_field.offset + checksum_field.size;
        unsigned_sum += inside ? ' ' : block[i];
        signed_sum += inside ? ' ' : static_cast<int8_t>(block[i]);
    }
    const int64_t said = static_cast<int64_t>(parse_octal(text_of(block, checksum_field)));
    return said == unsigned_sum || said == signed_sum;
}

bool has_nul(const std::string &text) {
    return text.find('\0') != std::string::npos;
}

// GNU's L and K bodies end in NUL; what follows it must be nothing.
std::string gnu_text(const std::string &body) {
    const size_t end = body.find_last_not_of('\0');
    const std::string text = end == std::string::npos ? std::string() : body.substr(0, end + 1);
    if (has_nul(text))
        damaged("a GNU long name contains a NUL byte");
    return text;
}

template <typename T> void set_once(std::optional<T> &slot, T value) {
    if (slot)
        damaged("one entry has two extended headers of the same kind, which contradict each other");
    slot = std::move(value);
}

} // namespace

void TarHeaders::feed(const uint8_t *data, size_t size) {
    while (size > 0 && state_ != State::ended) {
        if (state_ == State::body) {
            const size_t part = std::min<uint64_t>(size, body_left_);
            on_body(data, part);
            data += part;
            size -= part;
            offset_ += part;
            body_left_ -= part;
            if (body_left_ == 0)
                state_ = State::header;
            continue;
        }
        if (block_.empty() && size >= block_size) {
            on_block(data);
            data += block_size;
            size -= block_size;
            offset_ += block_size;
            continue;
        }
        const size_t part = std::min(size, block_size - block_.size());
        block_.append(reinterpret_cast<const char *>(data), part);
        data += part;
        size -= part;
        if (block_.size() == block_size) {
            on_block(reinterpret_cast<const uint8_t *>(block_.data()));
            offset_ += block_size;
            block_.clear();
        }
    }
}

std::optional<TarHeaders::Header> TarHeaders::take() {
    if (complete_.empty())
        return std::nullopt;
    Header header = std::move(complete_.front());
    complete_.pop_front();
    return header;
}

uint64_t TarHeaders::skip_body_bytes() {
    if (state_ != State::body)
        return 0;
    state_ = State::header;
    offset_ += body_left_;
    return std::exchange(body_left_, 0);
}

void TarHeaders::on_block(const uint8_t *block) {
    if (state_ == State::header) {
        on_header(block);
    } else if (state_ == State::extension) {
        const size_t part = std::min<uint64_t>(block_size, extension_size_ - extension_.size());
        extension_.append(reinterpret_cast<const char *>(block), part);
        if (extension_.size() == extension_size_)
            on_extension_end();
    } else if (state_ == State::sparse_map) {
        sparse_map_bytes_ += block_size;
        if (sparse_map_bytes_ > longest_extension)
            refuse_image("a sparse file's map is longer than 1 MiB; store the file without holes");
        if (!block[map_is_extended_offset])
            state_ = body_left_ > 0 ? State::body : State::header;
    }
}

void TarHeaders::on_header(const uint8_t *block) {
    if (std::all_of(block, block + block_size, [](uint8_t byte) { return byte == 0; })) {
        if (group_offset_)
            damaged("the archive ends between an extended header and its entry");
        state_ = State::ended;
        return;
    }
    if (!checksum_holds(block))
        damaged(offset_ == 0 ? "the layer is not a tar archive" : "a header's checksum is wrong");
    if (!group_offset_)
        group_offset_ = offset_;

    const char type = static_cast<char>(block[type_offset]);
    if (!strchr("xXgLKA", type) || type == '\0') {
        if (type != 'V')
            on_entry(block);
        return;
    }
    extension_type_ = type;
    extension_size_ = parse_size(block, text_of(block, name_field));
    if (extension_size_ > longest_extension)
        refuse_image("an extended header is longer than 1 MiB; rebuild the image without it");
    extension_.clear();
    state_ = State::extension;
    if (extension_size_ == 0)
        on_extension_end();
}

void TarHeaders::on_extension_end() {
    state_ = State::header;
    if (extension_type_ == 'L')
        set_once(gnu_name_, gnu_text(extension_));
    else if (extension_type_ == 'K')
        set_once(gnu_link_, gnu_text(extension_));
    else if (extension_type_ == 'x' || extension_type_ == 'X')
        parse_pax(extension_);
}

// Records "LENGTH KEY=VALUE\n", LENGTH counting all of the record (POSIX pax, "Extended Header").
void TarHeaders::parse_pax(std::string_view text) {
    Records records;
    while (!text.empty()) {
        const size_t space = text.find(' ');
        if (space == std::string_view::npos)
            damaged("a PAX record has no length");
        const uint64_t length = parse_decimal(std::string(text.substr(0, space)), "a PAX record's length");
        if (length > text.size() || length < space + 2 || text[length - 1] != '\n')
            damaged("a PAX record's length does not fit");
        const std::string_view record = text.substr(space + 1, length - space - 2);
        const size_t equals = record.find('=');
        if (equals == std::string_view::npos || equals == 0)
            damaged("a PAX record has no key");
        const std::string key(record.substr(0, equals));
        const std::string value(record.substr(equals + 1));
        const bool is_attribute = key.rfind("SCHILY.xattr.", 0) == 0;
        if (has_nul(key) || (has_nul(value) && !is_attribute))
            damaged("the PAX record " + quoted(key) + " contains a NUL byte");
        if (!is_attribute)
            records[key] = value;
        text.remove_prefix(length);
    }
    set_once(pax_, std::move(records));
}

const std::string *TarHeaders::pax(const char *key) const {
    if (!pax_)
        return nullptr;
    const auto found = pax_->find(key);
    return found == pax_->end() || found->second.empty() ? nullptr : &found->second;
}

std::string TarHeaders::entry_name(const uint8_t *block) const {
    const std::string *const path = pax("path");
    if (path && gnu_name_ && *path != *gnu_name_)
        refuse_image("one entry is called " + quoted(*path) + " by its PAX header and " + quoted(*gnu_name_) +
                     " by its GNU header; rebuild the image");
    // GNU tar keeps the real name of a sparse file here; `path` is for readers that know nothing of holes.
    if (const std::string *const sparse_name = pax("GNU.sparse.name"))
        return *sparse_name;
    if (path)
        return *path;
    if (gnu_name_)
        return *gnu_name_;
    const std::string name = text_of(block, name_field);
    const std::string prefix = is_ustar(block) ? text_of(block, prefix_field) : std::string();
    return prefix.empty() ? name : prefix + '/' + name;
}

std::string TarHeaders::link_target(const uint8_t *block) const {
    const std::string *const path = pax("linkpath");
    if (path && gnu_link_ && *path != *gnu_link_)
        refuse_image("one link leads to " + quoted(*path) + " by its PAX header and to " +
                     quoted(*gnu_link_) + " by its GNU header; rebuild the image");
    return path ? *path : gnu_link_ ? *gnu_link_ : text_of(block, link_field);
}

uint64_t TarHeaders::body_size(const uint8_t *block, char type) const {
    if (strchr("23456", type))
        return 0;
    const std::string name = text_of(block, name_field);
    // Outside PAX the size of a hard link is that of its target, and there is no body.
    if (type == '1' && !pax_)
        return 0;
    const std::string *const size = pax("size");
    return size ? parse_decimal(*size, "the size of " + quoted(name)) : parse_size(block, name);
}

void TarHeaders::on_entry(const uint8_t *block) {
    char type = static_cast<char>(block[type_offset]);
    if (type == '\0' || type == '7')
        type = '0';
    if (type == 'M')
        refuse_image("the layer is one part of a multi-volume archive; rebuild the image");
    const uint64_t size = body_size(block, type);
    Header header{*group_offset_, type, entry_name(block), link_target(block), offset_ + block_size, size};
    const std::string *const major = pax("GNU.sparse.major");
    counts_extents_ = major && *major != "0";
    extent_count_.clear();
    skip_body(size);
    if (type == 'S' && block[header_is_extended_offset]) {
        sparse_map_bytes_ = 0;
        state_ = State::sparse_map;
    }
    complete_.push_back(std::move(header));
    group_offset_.reset();
    pax_.reset();
    gnu_name_.reset();
    gnu_link_.reset();
}

void TarHeaders::skip_body(uint64_t size) {
    if (size > INT64_MAX - block_size)
        damaged("an entry has an impossible size");
    body_left_ = (size + block_size - 1) / block_size * block_size;
    state_ = body_left_ > 0 ? State::body : State::header;
}

void TarHeaders::on_body(const uint8_t *data, size_t size) {
    for (size_t i = 0; i < size && counts_extents_; i++) {
        if (data[i] >= '0' && data[i] <= '9')
            extent_count_ += static_cast<char>(data[i]);
        else
            counts_extents_ = false;
        if (extent_count_.size() > 18 ||
            (!extent_count_.empty() && std::stoull(extent_count_) > most_extents))
            refuse_image("a sparse file has more than 65536 holes; store the file without holes");
    }
}

} // namespace stowage
