// Reading a part of the user's file, which may be damaged, forged, or changed by somebody meanwhile.
#pragma once

#include <cstddef>
#include <cstdint>

#include <sys/stat.h>

namespace stowage {

// Reads as much of `size` bytes at `offset` as the file has. Throws Refusal with Fault::node.
size_t read_file_at(int fd, void *buffer, size_t size, uint64_t offset);

// `length` bytes of a file from `offset` on. Copies are cheap; the descriptor is borrowed.
class FileWindow {
  public:
    FileWindow(int fd, uint64_t offset, uint64_t length) : fd_(fd), offset_(offset), length_(length) {
    }
    uint64_t offset() const {
        return offset_;
    }
    uint64_t length() const {
        return length_;
    }
    // `length` of its bytes from `position` on, of which there must be so many.
    FileWindow part(uint64_t position, uint64_t length) const {
        return FileWindow(fd_, offset_ + position, length);
    }
    bool contains(uint64_t position, uint64_t size) const {
        return position <= length_ && size <= length_ - position;
    }
    // Fills `buffer` from `position` in the window. Throws Refusal where the window or the file ends before.
    void read(uint64_t position, void *buffer, size_t size) const;
    // The same, but reads only what there is.
    size_t read_some(uint64_t position, void *buffer, size_t size) const;

  private:
    int fd_;
    uint64_t offset_;
    uint64_t length_;
};

// Notices that a file is written to while it is read.
class ChangeWatch {
  public:
    // Throws Refusal if `fd` is no regular file.
    explicit ChangeWatch(int fd);
    uint64_t size_bytes() const {
        return static_cast<uint64_t>(before_.st_size);
    }
    // Throws Refusal if size or times are not what they were.
    void check() const;

  private:
    int fd_;
    struct stat before_;
};

// The Refusal for a file that is not what it was.
[[noreturn]] void refuse_changed_file();

} // namespace stowage
