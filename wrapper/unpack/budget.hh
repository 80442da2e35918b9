// What one image may use, checked before it is used.
#pragma once

#include <cstdint>
#include <string>

namespace stowage {

class Budget {
  public:
    Budget(uint64_t max_bytes, uint64_t max_inodes);

    // Takes the size a file claims to have, holes included; `entry` names it in the refusal.
    void take_bytes(uint64_t bytes, const std::string &entry);
    // Takes one file, directory or link.
    void take_inode(const std::string &entry);
    // What a removed name gives back. `bytes` is 0 while other links keep the file.
    void give_back(uint64_t bytes);

    // Takes uncompressed bytes of a layer, which are read but need not end up in files: without this limit
    // a small bomb of padding could keep the node busy for hours.
    void take_stream(uint64_t bytes);

  private:
    uint64_t max_bytes_;
    uint64_t max_inodes_;
    uint64_t max_stream_;
    uint64_t bytes_ = 0;
    uint64_t inodes_ = 0;
    uint64_t stream_ = 0;
};

} // namespace stowage
