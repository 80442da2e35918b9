#include "tar_reader.hh"
#include "entry_name.hh"
#include "refusal.hh"

#include <algorithm>
#include <cerrno>

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

namespace stowage {

namespace {

struct timespec mtime_of(struct archive_entry *entry) {
    if (!archive_entry_mtime_is_set(entry))
        return {0, UTIME_OMIT};
    const long nanoseconds = archive_entry_mtime_nsec(entry);
    return {archive_entry_mtime(entry), std::clamp(nanoseconds, 0L, 999999999L)};
}

std::vector<Attribute> attributes_of(struct archive_entry *entry) {
    std::vector<Attribute> attributes;
    archive_entry_xattr_reset(entry);
    const char *name;
    const void *value;
    size_t size;
    while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK)
        if (name)
            attributes.push_back({name, std::string(static_cast<const char *>(value), value ? size : 0)});
    return attributes;
}

// Nothing for a file without holes.
std::optional<uint64_t> stored_bytes_of(struct archive_entry *entry) {
    if (archive_entry_sparse_reset(entry) == 0)
        return std::nullopt;
    uint64_t stored = 0;
    la_int64_t offset, length;
    while (archive_entry_sparse_next(entry, &offset, &length) == ARCHIVE_OK)
        if (length > 0 && __builtin_add_overflow(stored, static_cast<uint64_t>(length), &stored))
            return UINT64_MAX;
    return stored;
}

} // namespace

TarReader::TarReader(Source source)
    : source_(std::move(source)), archive_(archive_read_new(), archive_read_free) {
    if (!archive_)
        throw std::bad_alloc();
    archive_read_support_filter_none(archive_.get());
    archive_read_support_format_tar(archive_.get());
    archive_read_support_format_empty(archive_.get());
    if (archive_read_open(archive_.get(), this, nullptr, pull, nullptr) != ARCHIVE_OK)
        fail();
}

// Exceptions must not cross libarchive, which is C: they are kept, and fail() throws them on.
ssize_t TarReader::pull(struct archive *archive, void *self, const void **data) {
    auto *const reader = static_cast<TarReader *>(self);
    try {
        const Bytes bytes = reader->source_();
        reader->headers_.feed(bytes.data, bytes.size);
        reader->source_ended_ = bytes.size == 0;
        *data = bytes.data;
        return static_cast<ssize_t>(bytes.size);
    } catch (...) {
        reader->source_error_ = std::current_exception();
        archive_set_error(archive, EIO, "the stream failed");
        return ARCHIVE_FATAL;
    }
}

void TarReader::fail() {
    if (source_error_)
        std::rethrow_exception(source_error_);
    if (archive_errno(archive_.get()) == ENOMEM)
        throw std::bad_alloc();
    const char *const reason = archive_error_string(archive_.get());
    refuse_image("the tar archive is damaged " +
                 (name_.empty() ? "at its start" : "at or after the entry " + quoted(name_)) +
                 (reason ? " (" + std::string(reason) + ")" : "") + "; rebuild the image");
}

EntryType TarReader::type_of(const TarHeaders::Header &header) const {
    if (header.type == '1')
        return EntryType::hard_link;
    switch (archive_entry_filetype(entry_)) {
    case AE_IFREG:
        return EntryType::file;
    case AE_IFDIR:
        return EntryType::directory;
    case AE_IFLNK:
        return EntryType::symlink;
    default:
        return EntryType::special;
    }
}

bool TarReader::next(Entry &entry) {
    // ARCHIVE_WARN is about names in odd character sets and the like; names are not taken from libarchive.
    const int result = archive_read_next_header(archive_.get(), &entry_);
    if (result == ARCHIVE_EOF && !source_error_)
        return false;
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
        fail();
    const auto header = headers_.take();
    if (!header || header->offset != static_cast<uint64_t>(archive_read_header_position(archive_.get())))
        refuse_image("the tar headers " +
                     (header ? "of the entry " + quoted(header->name) : "after " + quoted(name_)) +
                     " can be read in two ways; rebuild the image");
    if (archive_entry_size(entry_) < 0)
        refuse_image("the entry " + quoted(header->name) + " has a negative size; rebuild the image");

    name_ = header->name;
    entry.type = type_of(*header);
    entry.name = header->name;
    entry.link_target = header->link_target;
    entry.mode = archive_entry_perm(entry_);
    entry.mtime = mtime_of(entry_);
    entry.size = static_cast<uint64_t>(archive_entry_size(entry_));
    entry.stored_bytes = stored_bytes_of(entry_);
    entry.attributes = attributes_of(entry_);
    return true;
}

bool TarReader::read(Bytes &piece, uint64_t &offset) {
    const void *data;
    size_t size;
    la_int64_t position;
    const int result = archive_read_data_block(archive_.get(), &data, &size, &position);
    if (result == ARCHIVE_EOF)
        return false;
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
        fail();
    if (position < 0)
        refuse_image("the sparse file " + quoted(name_) + " has data before its start; rebuild the image");
    piece = {static_cast<const uint8_t *>(data), size};
    offset = static_cast<uint64_t>(position);
    return true;
}

void TarReader::drain() {
    while (!source_ended_ && source_().size > 0) {
    }
}

} // namespace stowage
