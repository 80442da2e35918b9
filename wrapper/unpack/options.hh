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

struct Options {
    int root_fd = -1;
    int progress_fd = -1; // -1: nobody wants to know
    uint64_t max_bytes = 0;
    uint64_t max_inodes = 0;
    unsigned max_depth = 256; // of directories below the root
    bool is_growing = false;  // blobs may still be growing to their sizes
    std::vector<LayerSource> layers; // lowest first
};

// Throws Refusal with Fault::usage.
Options parse_options(int argc, char **argv);

} // namespace stowage
