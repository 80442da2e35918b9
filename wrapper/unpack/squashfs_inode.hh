// The inodes of a squashfs image.
#pragma once

#include "entry_source.hh"
#include "squashfs_metadata.hh"

namespace stowage {

struct SquashfsInode {
    EntryType type; // never hard_link
    mode_t mode;    // permission bits
    uint32_t mtime;
    uint32_t links = 1;
    uint32_t attributes = squashfs_none; // number in the table of extended attributes

    // Of files.
    uint64_t size = 0;
    uint64_t hole_bytes = 0;             // of `size`, as the image claims
    uint64_t data = 0;                   // where its blocks lie in the image, one after the other
    uint32_t fragment = squashfs_none;   // holds what does not fill a block
    uint32_t fragment_offset = 0;        // in the uncompressed fragment
    SquashfsMetadata::Place blocks = {}; // of the list of its blocks' sizes, 32 bits each

    // Of directories.
    SquashfsMetadata::Place listing = {};
    uint32_t listing_bytes = 0;

    std::string target; // of symbolic links
};

// Throws Refusal.
SquashfsInode read_squashfs_inode(SquashfsMetadata &metadata, const SquashfsSuper &super, uint64_t reference);

} // namespace stowage
