// The command line of stowage-unpack.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace stowage {

struct LayerSource {
    int fd = -1;                    // read with pread only
    std::optional<uint64_t> offset; // of the blob in the file it is a member of; nothing: it is the file
    uint64_t size_bytes = 0;        // of the blob, as the registry stores it
    std::string digest;             // of the blob; empty where nobody knows it
    std::string diff_id;            // of the tar stream in it

    // What sentences call the layer.
    const std::string &name() const {
        return digest.empty() ? diff_id : digest;
    }
};

// A root file system in one file: tar or cpio, compressed or not, squashfs, SIF.
struct FileSource {
    int fd; // read with pread only
    uint64_t size_bytes;
    std::string digest; // of the whole file
};

struct Options {
    int root_fd = -1;
    int progress_fd = -1; // -1: nobody wants to know
    uint64_t max_bytes = 0;
    uint64_t max_inodes = 0;
    uint64_t max_seconds = 0; // of processor time; 0: no limit
    unsigned max_depth = 256; // of directories below the root

    // One of these says what to unpack.
    std::vector<LayerSource> layers; // lowest first
    bool is_growing = false;         // their blobs may still be growing to their sizes
    std::optional<FileSource> file;
    int directory_fd = -1;

    bool keep_squashfs = false; // write the squashfs image of `file` instead of what is in it
    int identify_fd = -1;       // only say what this file is; nothing is unpacked
};

// Throws Refusal with Fault::usage.
Options parse_options(int argc, char **argv);

} // namespace stowage
