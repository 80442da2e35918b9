#include "cpio_reader.hh"
#include "entry_name.hh"
#include "refusal.hh"

#include <array>
#include <climits>
#include <utility>

#include <sys/stat.h>

namespace stowage {

namespace {

constexpr uint64_t longest_name = 1 << 16;
const char trailer_name[] = "TRAILER!!!";

EntryType type_of(uint32_t mode) {
    switch (mode & S_IFMT) {
    case S_IFREG:
        return EntryType::file;
    case S_IFDIR:
        return EntryType::directory;
    case S_IFLNK:
        return EntryType::symlink;
    default:
        return EntryType::special;
    }
}

// All readers end at an entry of this name that has nothing to it; a link or a file of that name does.
bool is_trailer(const CpioHeader &header, const std::string &name) {
    return name == trailer_name && header.size == 0 &&
           ((header.mode & S_IFMT) == 0 || (header.mode & S_IFMT) == S_IFREG);
}

} // namespace

bool CpioReader::next(Entry &entry) {
    if (ready_.empty()) {
        if (!ended_ && next_in_archive(entry))
            return true;
        if (ready_.empty())
            return false;
    }
    finish_body();
    entry = std::move(ready_.front());
    ready_.pop_front();
    name_ = entry.name;
    return true;
}

bool CpioReader::next_in_archive(Entry &entry) {
    for (;;) {
        finish_body();
        CpioHeader header;
        if (!read_header(header))
            damaged("it has no end");
        entry = {};
        entry.name = read_name(header);
        name_ = entry.name;
        if (is_trailer(header, entry.name)) {
            ended_ = true;
            for (Entry &waiting : links_.take_waiting())
                ready_.push_back(std::move(waiting));
            return false;
        }
        entry.type = type_of(header.mode);
        entry.mode = header.mode & 07777;
        entry.mtime = {header.mtime, 0};
        header_ = header;
        body_left_ = header.size;
        is_checked_ = header.format == CpioFormat::crc && entry.type == EntryType::file && header.size > 0;
        sum_ = 0;
        switch (entry.type) {
        case EntryType::symlink:
            entry.link_target = read_link_target(header);
            break;
        case EntryType::directory:
            links_.see_directory(header, entry.name);
            break;
        case EntryType::file:
            entry.size = header.size;
            break;
        default:
            return true;
        }
        if (entry.type == EntryType::directory || header.links < 2 || !join_links(header, entry))
            return true;
    }
}

// Whether the entry is not to be handed out now.
bool CpioReader::join_links(const CpioHeader &header, Entry &entry) {
    std::vector<Entry> after;
    // The body of a symbolic link is its target, which is read already and repeated with each name.
    CpioHeader seen = header;
    if (entry.type == EntryType::symlink)
        seen.format = CpioFormat::odc;
    const CpioLinks::Verdict verdict = links_.join(seen, entry, after);
    for (Entry &link : after)
        ready_.push_back(std::move(link));
    return verdict == CpioLinks::Verdict::waits;
}

bool CpioReader::read(Bytes &piece, uint64_t &offset) {
    if (body_left_ == 0)
        return false;
    offset = header_.size - body_left_;
    piece = source_.take(body_left_);
    if (piece.size == 0)
        ends_early();
    body_left_ -= piece.size;
    if (is_checked_)
        for (size_t i = 0; i < piece.size; i++)
            sum_ += piece.data[i];
    if (body_left_ == 0) {
        if (is_checked_ && sum_ != header_.checksum)
            refuse_image("the file " + quoted(name_) +
                         " does not match its checksum in the cpio archive; copy or make the archive again");
    }
    return true;
}

void CpioReader::finish_body() {
    Bytes piece;
    uint64_t offset;
    while (read(piece, offset)) {
    }
    const uint64_t size = std::exchange(header_.size, 0);
    if (size > 0)
        skip_padding(size, header_.format);
}

bool CpioReader::read_header(CpioHeader &header) {
    std::array<uint8_t, 128> bytes;
    const size_t got = source_.read(bytes.data(), cpio_magic_size);
    if (got == 0)
        return false;
    const CpioFormat format = got == cpio_magic_size ? cpio_format_of(bytes.data()) : CpioFormat::none;
    if (format == CpioFormat::none)
        damaged("there is no header where one must be");
    read_exactly(bytes.data() + cpio_magic_size, cpio_header_size(format) - cpio_magic_size);
    if (!parse_cpio_header(format, bytes.data(), header))
        damaged("a header holds what is no number");
    return true;
}

std::string CpioReader::read_name(const CpioHeader &header) {
    if (header.name_size == 0)
        damaged("a name has no length");
    if (header.name_size > longest_name)
        damaged("a name is longer than 64 KiB");
    std::string name(header.name_size, '\0');
    read_exactly(name.data(), name.size());
    skip_padding(cpio_header_size(header.format) + name.size(), header.format);
    if (name.back() != '\0' || name.find('\0') != name.size() - 1)
        damaged("a name does not end where its length says");
    name.pop_back();
    return name;
}

std::string CpioReader::read_link_target(const CpioHeader &header) {
    if (header.size >= PATH_MAX)
        refuse_image("the symbolic link " + quoted(name_) +
                     " has a target longer than Linux allows; rebuild the archive");
    std::string target(header.size, '\0');
    read_exactly(target.data(), target.size());
    body_left_ = 0;
    if (target.find('\0') != std::string::npos)
        damaged("a symbolic link's target contains a NUL byte");
    return target;
}

void CpioReader::drain() {
    finish_body();
    while (source_.take(UINT64_MAX).size > 0) {
    }
}

void CpioReader::read_exactly(void *buffer, size_t size) {
    if (source_.read(buffer, size) != size)
        ends_early();
}

void CpioReader::skip_padding(uint64_t size, CpioFormat format) {
    const size_t alignment = cpio_alignment(format);
    uint8_t padding[4];
    const size_t wanted = (alignment - size % alignment) % alignment;
    if (source_.read(padding, wanted) != wanted)
        ends_early();
}

void CpioReader::ends_early() {
    damaged("it stops in the middle");
}

void CpioReader::damaged(const std::string &what) {
    refuse_image("the cpio archive is damaged " +
                 (name_.empty() ? "at its start" : "at or after the entry " + quoted(name_)) + ": " + what +
                 "; copy or make the archive again");
}

} // namespace stowage
