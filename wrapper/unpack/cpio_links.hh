// Which names of a cpio archive are one file. newc and crc give the content with one of the names only, as a
// rule the last; names that come before it wait for it here.
#pragma once

#include "cpio_header.hh"
#include "entry_source.hh"

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace stowage {

class CpioLinks {
  public:
    enum class Verdict {
        file,   // makes a file
        waits,  // the content is still to come
        linked, // `entry` has become a hard link; content that is repeated is to be skipped
    };

    // `header` and `entry` describe one of several names of a file. Adds to `ready` what was waiting for it
    // and comes after it.
    Verdict join(const CpioHeader &header, Entry &entry, std::vector<Entry> &ready);
    // Names whose content never came: empty files, and links to them.
    std::vector<Entry> take_waiting();
    // Notes a directory. Throws Refusal for one that has two names.
    void see_directory(const CpioHeader &header, const std::string &name);

  private:
    using Key = std::pair<uint64_t, uint64_t>;

    struct File {
        std::string made; // the name under which it is in the tree already
        uint64_t size = 0;
        std::vector<Entry> waiting;
        uint32_t seen = 0;
    };

    void take_memory(const std::string &name);
    void forget(std::map<Key, File>::iterator file);

    std::map<Key, File> files_;
    std::map<Key, std::string> directories_;
    uint64_t held_bytes_ = 0; // of names in the maps
};

} // namespace stowage
