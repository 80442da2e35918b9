// Which names of a root file system are one file, where all of its names say how many there are.
#pragma once

#include "entry_source.hh"

#include <cstdint>
#include <string>
#include <unordered_map>

namespace stowage {

class LinkNames {
  public:
    // `entry` is one of `links` names of the file `number`. The first stays as it is; each later one becomes
    // a hard link to it, and true is returned. A file is forgotten with its last name. Throws Refusal where
    // more names have to be kept than memory is meant for.
    bool join(uint64_t number, uint64_t links, Entry &entry);

  private:
    struct File {
        std::string name;  // under which it is in the tree
        uint64_t left = 0; // names still to come
    };

    std::unordered_map<uint64_t, File> files_;
    uint64_t held_bytes_ = 0;
};

} // namespace stowage
