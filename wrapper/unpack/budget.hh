// What one image may use, checked before it is used.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace stowage {

// What is left in a file system; nothing where it does not limit it.
struct FreeSpace {
    std::optional<uint64_t> bytes;
    std::optional<uint64_t> inodes;
};

// Of the file system of `directory`, for an ordinary user. Throws Refusal.
FreeSpace free_space_of(int directory);

class Budget {
  public:
    Budget(uint64_t max_bytes, uint64_t max_inodes, const FreeSpace &free);

    // Takes the size a file claims to have, and what it needs of the free space: `stored_bytes`, without its
    // holes. `entry` names it in the refusal.
    void take_file(uint64_t bytes, uint64_t stored_bytes, const std::string &entry);
    // Takes one file, directory or link.
    void take_inode(const std::string &entry);
    // What a removed name gives back. `bytes` is 0 while other links keep the file.
    void give_back(uint64_t bytes);

    // Takes uncompressed bytes of a layer, which are read but need not end up in files: without this limit
    // a small bomb of padding could keep the node busy for hours.
    void take_stream(uint64_t bytes);

  private:
    const uint64_t max_bytes_;
    const uint64_t max_inodes_;
    const uint64_t max_stream_;
    const FreeSpace free_;
    uint64_t bytes_ = 0;
    uint64_t stored_bytes_ = 0; // in whole pages
    uint64_t inodes_ = 0;
    uint64_t stream_ = 0;
};

} // namespace stowage
