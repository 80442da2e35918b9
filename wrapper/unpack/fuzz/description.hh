// A file tree in words, to be compared with another.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include <sys/types.h>

namespace stowage::fuzz {

struct Item {
    char type = 'd'; // 'd', 'f' or 'l'
    mode_t mode = 0; // permission bits; of links 0
    std::string text;
    uint64_t links = 1;           // of directories 1
    std::string first;            // the first path of the same file in the order of the alphabet
    std::optional<int64_t> mtime; // in seconds; nothing where it does not matter
};

// By path, the root's being empty.
using Description = std::map<std::string, Item>;

// Aborts, saying where they differ, unless both are the same.
void expect_same(const Description &found, const Description &expected);

// Says what is wrong, and aborts.
[[noreturn]] void finding(const std::string &what);

} // namespace stowage::fuzz
