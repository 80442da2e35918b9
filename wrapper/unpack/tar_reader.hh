// The entries of one layer, from libarchive (framing, numbers, sparse maps, attributes) and TarHeaders
// (names).
#pragma once

#include "tar_headers.hh"

#include <exception>
#include <functional>
#include <memory>
#include <vector>

#include <sys/types.h>
#include <time.h>

struct archive;
struct archive_entry;

namespace stowage {

enum class EntryType { file, directory, symlink, hard_link, special };

struct Attribute {
    std::string name;
    std::string value;
};

struct TarEntry {
    EntryType type;
    std::string name;        // as the archive has it, not cleaned
    std::string link_target; // of symlinks and hard links
    mode_t mode;             // permission bits as in the archive
    struct timespec mtime;   // tv_nsec is UTIME_OMIT where the archive gives none
    uint64_t size;           // of the file, holes included
    std::vector<Attribute> attributes;
};

class TarReader {
  public:
    struct Bytes {
        const uint8_t *data;
        size_t size;
    };
    // Returns the next bytes of the stream, valid until the next call; size 0 at its end. May throw.
    using Source = std::function<Bytes()>;

    explicit TarReader(Source source);

    // The next entry, skipping what is left of the present one; false at the end of the archive.
    bool next(TarEntry &entry);
    // The next piece of the present file; false at its end. Offsets leave out holes.
    bool read(Bytes &piece, uint64_t &offset);
    // Reads the stream to its end, past the end of the archive.
    void drain();

  private:
    static ssize_t pull(struct archive *archive, void *self, const void **data);
    [[noreturn]] void fail();
    EntryType type_of(const TarHeaders::Header &header) const;

    Source source_;
    TarHeaders headers_;
    std::exception_ptr source_error_;
    bool source_ended_ = false;
    struct archive_entry *entry_ = nullptr; // owned by archive_
    std::string name_;
    std::unique_ptr<struct archive, int (*)(struct archive *)> archive_;
};

} // namespace stowage
