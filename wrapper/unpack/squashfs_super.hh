// The head of a squashfs 4.0 image, and what all of its parts are bounded by.
//
// The format is described in Documentation/filesystems/squashfs.rst of Linux and, field by field, in
// fs/squashfs/squashfs_fs.h. Decision 0010 says why no library reads it.
#pragma once

#include "file_window.hh"

#include <string>

namespace stowage {

enum class SquashfsCompression { gzip = 1, lzo = 3, xz = 4, lz4 = 5, zstd = 6 };

struct SquashfsSuper {
    SquashfsCompression compression;
    uint32_t made; // seconds since 1970
    uint32_t block_bytes;
    uint32_t fragments;
    uint64_t root_inode; // a reference; see SquashfsMetadata
    uint64_t used_bytes; // nothing that belongs to the image lies beyond
    uint64_t inode_table;
    uint64_t directory_table;
    uint64_t fragment_table;
    uint64_t attribute_table;
};

// Where there is no such table or number.
constexpr uint64_t squashfs_no_table = UINT64_MAX;
constexpr uint32_t squashfs_none = UINT32_MAX;

// Throws Refusal.
SquashfsSuper read_squashfs_super(const FileWindow &image);

[[noreturn]] void refuse_damaged_squashfs(const std::string &what);

} // namespace stowage
