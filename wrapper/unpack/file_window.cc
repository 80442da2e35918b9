#include "file_window.hh"
#include "refusal.hh"

#include <algorithm>
#include <cerrno>
#include <string>

#include <unistd.h>

namespace stowage {

namespace {

struct stat look_at(int fd) {
    struct stat status;
    if (fstat(fd, &status) != 0)
        fail_with(errno, "cannot look at the image file");
    return status;
}

bool is_same(const struct timespec &a, const struct timespec &b) {
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

} // namespace

size_t read_file_at(int fd, void *buffer, size_t size, uint64_t offset) {
    size_t done = 0;
    while (done < size) {
        const ssize_t got =
            pread(fd, static_cast<char *>(buffer) + done, size - done, static_cast<off_t>(offset + done));
        if (got == 0)
            break;
        if (got < 0 && errno != EINTR)
            fail_with(errno, "cannot read the image file");
        done += got > 0 ? static_cast<size_t>(got) : 0;
    }
    return done;
}

void FileWindow::read(uint64_t position, void *buffer, size_t size) const {
    if (!contains(position, size) || read_file_at(fd_, buffer, size, offset_ + position) != size)
        refuse_image("the file ends in the middle, or is damaged: there is nothing at byte " +
                     std::to_string(offset_ + position) + "; copy it again");
}

size_t FileWindow::read_some(uint64_t position, void *buffer, size_t size) const {
    if (position >= length_)
        return 0;
    return read_file_at(fd_, buffer, std::min<uint64_t>(size, length_ - position), offset_ + position);
}

ChangeWatch::ChangeWatch(int fd) : fd_(fd), before_(look_at(fd)) {
    if (!S_ISREG(before_.st_mode))
        throw Refusal(Fault::usage, "the image file is no regular file");
}

void ChangeWatch::check() const {
    const struct stat now = look_at(fd_);
    if (now.st_size != before_.st_size || !is_same(now.st_mtim, before_.st_mtim) ||
        !is_same(now.st_ctim, before_.st_ctim))
        refuse_changed_file();
}

void refuse_changed_file() {
    refuse_image("the file changed while it was read; try again when nobody writes to it");
}

} // namespace stowage
