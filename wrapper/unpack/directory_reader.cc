#include "directory_reader.hh"
#include "entry_name.hh"
#include "refusal.hh"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <climits>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace stowage {

namespace {

constexpr size_t chunk_bytes = 1 << 20;
constexpr uint64_t stat_block_bytes = 512;
constexpr int directory_flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
// A file may turn into a FIFO between looking and opening.
constexpr int file_flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

[[noreturn]] void refuse_unreadable(const std::string &name, int error) {
    refuse_image("cannot read " + quoted(name) + " of the directory: " + strerror(error) +
                 "; make it readable for you, or leave it out");
}

bool is_gone(int error) {
    return error == ENOENT || error == ELOOP || error == ENOTDIR || error == ENXIO;
}

std::vector<Attribute> attributes_of(int fd) {
    std::vector<Attribute> attributes;
    std::string names(XATTR_LIST_MAX, '\0');
    const ssize_t length = flistxattr(fd, names.data(), names.size());
    if (length <= 0)
        return attributes;
    names.resize(static_cast<size_t>(length));
    for (size_t start = 0; start < names.size();) {
        const std::string name = names.c_str() + start;
        start += name.size() + 1;
        if (name.rfind("user.", 0) != 0)
            continue;
        std::string value(XATTR_SIZE_MAX, '\0');
        const ssize_t size = fgetxattr(fd, name.c_str(), value.data(), value.size());
        if (size < 0)
            continue;
        value.resize(static_cast<size_t>(size));
        attributes.push_back({name, value});
    }
    return attributes;
}

} // namespace

DirectoryReader::DirectoryReader(int fd, int destination) : buffer_(chunk_bytes) {
    struct stat status;
    if (fstat(destination, &destination_) != 0)
        fail_with(errno, "cannot look at the directory to unpack into");
    if (fstat(fd, &status) != 0 || !S_ISDIR(status.st_mode))
        throw Refusal(Fault::usage, "--directory is no directory");
    device_ = status.st_dev;
    // A descriptor of its own, because reading moves the offset and closedir closes it.
    enter(Descriptor(openat(fd, ".", directory_flags)), "");
}

void DirectoryReader::enter(Descriptor fd, const std::string &path) {
    if (!fd)
        refuse_unreadable(path.empty() ? "." : path, errno);
    std::unique_ptr<DIR, int (*)(DIR *)> stream(fdopendir(fd.get()), closedir);
    if (!stream)
        throw std::bad_alloc();
    fd.release();
    levels_.push_back({std::move(stream), path});
}

bool DirectoryReader::next(Entry &entry) {
    file_.reset();
    if (!begun_) {
        begun_ = true;
        const int fd = dirfd(levels_.back().stream.get());
        struct stat status;
        if (fstat(fd, &status) != 0)
            refuse_unreadable(".", errno);
        entry = {};
        entry.name = ".";
        entry.type = EntryType::directory;
        describe_open(fd, status, entry);
        return true;
    }
    while (!levels_.empty()) {
        Level &level = levels_.back();
        errno = 0;
        const struct dirent *const item = readdir(level.stream.get());
        if (!item) {
            if (errno != 0)
                refuse_unreadable(level.path.empty() ? "." : level.path, errno);
            levels_.pop_back();
            continue;
        }
        const std::string base = item->d_name;
        if (base == "." || base == "..")
            continue;
        const std::string name = level.path.empty() ? base : level.path + '/' + base;
        if (describe(dirfd(level.stream.get()), base, name, entry))
            return true;
    }
    return false;
}

// False for what has gone since it was listed.
bool DirectoryReader::describe(int parent, const std::string &base, const std::string &name, Entry &entry) {
    struct stat status;
    if (fstatat(parent, base.c_str(), &status, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0) {
        if (is_gone(errno))
            return false;
        refuse_unreadable(name, errno);
    }
    entry = {};
    entry.name = name;
    entry.mode = status.st_mode & 07777;
    entry.mtime = status.st_mtim;
    if (status.st_dev == destination_.st_dev && status.st_ino == destination_.st_ino)
        throw Refusal(Fault::usage, "the directory to unpack into lies inside of the one to copy, as " +
                                        quoted(name) + "; unpack it elsewhere");
    if (S_ISDIR(status.st_mode) && status.st_dev != device_) {
        entry.type = EntryType::directory;
        mounts_++;
        return true;
    }
    if (S_ISDIR(status.st_mode)) {
        entry.type = EntryType::directory;
        Descriptor fd(openat(parent, base.c_str(), directory_flags));
        if (!fd && is_gone(errno))
            return false;
        if (!fd)
            refuse_unreadable(name, errno);
        describe_open(fd.get(), status, entry);
        enter(std::move(fd), name);
        return true;
    }
    if (S_ISLNK(status.st_mode)) {
        entry.type = EntryType::symlink;
        entry.link_target.resize(PATH_MAX);
        const ssize_t length =
            readlinkat(parent, base.c_str(), entry.link_target.data(), entry.link_target.size());
        if (length < 0)
            return false;
        entry.link_target.resize(static_cast<size_t>(length));
        links_.join(status.st_ino, status.st_nlink, entry);
        return true;
    }
    if (!S_ISREG(status.st_mode)) {
        entry.type = EntryType::special;
        return true;
    }
    entry.type = EntryType::file;
    if (links_.join(status.st_ino, status.st_nlink, entry))
        return true;
    file_.reset(openat(parent, base.c_str(), file_flags));
    if (!file_ && is_gone(errno))
        return false;
    if (!file_ || fstat(file_.get(), &status) != 0)
        refuse_unreadable(name, errno);
    if (!S_ISREG(status.st_mode))
        return false;
    name_ = name;
    offset_ = 0;
    size_ = static_cast<uint64_t>(status.st_size);
    entry.size = size_;
    entry.stored_bytes = static_cast<uint64_t>(status.st_blocks) * stat_block_bytes;
    describe_open(file_.get(), status, entry);
    return true;
}

void DirectoryReader::describe_open(int fd, const struct stat &status, Entry &entry) {
    entry.mode = status.st_mode & 07777;
    entry.mtime = status.st_mtim;
    entry.attributes = attributes_of(fd);
}

bool DirectoryReader::read(Bytes &piece, uint64_t &offset) {
    if (!file_ || offset_ >= size_)
        return false;
    const off_t data = lseek(file_.get(), static_cast<off_t>(offset_), SEEK_DATA);
    if (data < 0 && errno == ENXIO) // a hole to the end
        return false;
    if (data > 0)
        offset_ = static_cast<uint64_t>(data);
    if (offset_ >= size_)
        return false;
    size_t wanted = std::min<uint64_t>(buffer_.size(), size_ - offset_);
    const off_t hole = lseek(file_.get(), static_cast<off_t>(offset_), SEEK_HOLE);
    if (hole > static_cast<off_t>(offset_))
        wanted = std::min(wanted, static_cast<size_t>(static_cast<uint64_t>(hole) - offset_));
    ssize_t got;
    do
        got = pread(file_.get(), buffer_.data(), wanted, static_cast<off_t>(offset_));
    while (got < 0 && errno == EINTR);
    if (got < 0)
        refuse_unreadable(name_, errno);
    // Shorter than it was: the rest is zeros.
    if (got == 0)
        return false;
    piece = {buffer_.data(), static_cast<size_t>(got)};
    offset = offset_;
    offset_ += static_cast<uint64_t>(got);
    return true;
}

void DirectoryReader::report() const {
    if (mounts_ > 0)
        dprintf(STDERR_FILENO,
                "warning: left out what other file systems hold that are mounted on %" PRIu64
                " directories in the directory\n",
                mounts_);
}

} // namespace stowage
