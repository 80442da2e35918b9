// The command line of stowage-unpack.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace stowage {

struct LayerSource {
    int fd;              // the blob as the registry stores it; read with pread only
    uint64_t size_bytes; // of the blob
    std::string digest;  // of the blob
    std::string diff_id; // of the tar stream in it
};

struct Options {
    int root_fd = -1;
    int progress_fd = -1; // -1: nobody wants to know
    uint64_t max_bytes = 0;
    uint64_t max_inodes = 0;
    std::vector<LayerSource> layers; // lowest first
};

// Throws Refusal with Fault::usage.
Options parse_options(int argc, char **argv);

} // namespace stowage
