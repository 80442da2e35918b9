// Entries of an image, whatever it is stored in: what TreeWriter puts into the tree.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>
#include <time.h>

namespace stowage {

enum class EntryType { file, directory, symlink, hard_link, special };

struct Attribute {
    std::string name;
    std::string value;
};

struct Entry {
    EntryType type;
    std::string name;                     // as the archive has it, not cleaned
    std::string link_target;              // of symlinks and hard links
    mode_t mode;                          // permission bits as in the archive
    struct timespec mtime;                // tv_nsec is UTIME_OMIT where the archive gives none
    uint64_t size;                        // of the file, holes included
    std::optional<uint64_t> stored_bytes; // of the file without its holes, as far as known; nothing: all
    std::vector<Attribute> attributes;
};

class EntrySource {
  public:
    struct Bytes {
        const uint8_t *data;
        size_t size;
    };

    virtual ~EntrySource() = default;
    // The next entry, skipping what is left of the present one; false at the end. Throws Refusal.
    virtual bool next(Entry &entry) = 0;
    // The next piece of the present file, valid until the following call; false at its end. Offsets grow and
    // leave out holes.
    virtual bool read(Bytes &piece, uint64_t &offset) = 0;
};

} // namespace stowage
