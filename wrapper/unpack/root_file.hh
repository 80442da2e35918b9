// What a file with a root file system in it is, told by its content.
#pragma once

#include "file_window.hh"

#include <optional>
#include <string>

namespace stowage {

enum class RootFileKind { tar, cpio, squashfs, sif };

// By the first bytes of the file, of which there are `size`; nothing where they do not tell.
std::optional<RootFileKind> root_file_kind(const uint8_t *start, size_t size);

// The same for tar and cpio by the first bytes after decompression.
std::optional<RootFileKind> stream_kind(const uint8_t *start, size_t size);

// How many bytes the two need, if there are so many.
constexpr size_t root_file_start_bytes = 512;

// The Refusal for a file that Stowage cannot use; says what it takes.
[[noreturn]] void refuse_unknown_file();
// The Refusal for an archive of an image that is compressed as a whole.
[[noreturn]] void refuse_compressed_archive();

} // namespace stowage
