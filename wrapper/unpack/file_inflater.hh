// Decompressing a root file system in a file: by what layers may be compressed with, and bzip2 and xz.
#pragma once

#include "inflate.hh"

#include <string>

namespace stowage {

// What the file is compressed with, by its first bytes: "gzip", "zstd", "bzip2", "xz", or empty.
std::string compression_of(const uint8_t *start, size_t size);

// Chooses by the first bytes; anything else is copied.
std::unique_ptr<Inflater> make_file_inflater(const uint8_t *start, size_t size);

std::unique_ptr<Inflater> make_bzip2_inflater();
std::unique_ptr<Inflater> make_xz_inflater();

} // namespace stowage
