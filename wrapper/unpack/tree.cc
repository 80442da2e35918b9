#include "tree.hh"
#include "refusal.hh"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <memory>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace stowage {

namespace {

// As many as Linux follows itself.
constexpr int most_links = 40;
// Removing and finishing a tree hold one descriptor a level; nobody's image is a tenth as deep.
constexpr unsigned deepest = 256;
constexpr int directory_flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

struct stat status_of(int fd) {
    struct stat status;
    if (fstat(fd, &status) != 0)
        fail_with(errno, "cannot look at a directory of the tree");
    return status;
}

Directory open_directory(int fd, const std::string &base, bool must_exist = true) {
    Directory directory;
    directory.fd.reset(openat(fd, base.c_str(), directory_flags));
    const bool is_none = errno == ENOENT || errno == ENOTDIR || errno == ELOOP;
    if (directory.fd)
        directory.inode = status_of(directory.fd.get()).st_ino;
    else if (must_exist || !is_none)
        fail_with(errno, "cannot open the directory " + quoted(base));
    return directory;
}

// All of a path in one system call; -1 also where only slow resolution can tell.
int open_in_root(int root, const std::string &path) {
    struct open_how how = {};
    how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    return static_cast<int>(syscall(SYS_openat2, root, path.c_str(), &how, sizeof how));
}

std::string read_link(int fd, const std::string &base) {
    std::string target(PATH_MAX, '\0');
    const ssize_t length = readlinkat(fd, base.c_str(), target.data(), target.size());
    if (length < 0)
        fail_with(errno, "cannot read the link " + quoted(base));
    target.resize(static_cast<size_t>(length));
    return target;
}

void push_components(std::deque<std::string> &todo, const std::string &path) {
    std::vector<std::string> components;
    size_t start = 0;
    while (start < path.size()) {
        const size_t end = std::min(path.find('/', start), path.size());
        if (end > start && path.compare(start, end - start, ".") != 0)
            components.push_back(path.substr(start, end - start));
        start = end + 1;
    }
    todo.insert(todo.begin(), components.begin(), components.end());
}

std::vector<std::string> names_in(const Directory &directory) {
    // A descriptor of its own, because reading moves the offset and closedir closes it.
    const int fd = openat(directory.fd.get(), ".", directory_flags);
    if (fd < 0)
        fail_with(errno, "cannot read a directory of the tree");
    const std::unique_ptr<DIR, int (*)(DIR *)> stream(fdopendir(fd), closedir);
    if (!stream)
        throw std::bad_alloc();
    std::vector<std::string> names;
    while (const struct dirent *item = readdir(stream.get())) {
        const std::string name = item->d_name;
        if (name != "." && name != "..")
            names.push_back(name);
    }
    return names;
}

} // namespace

uint64_t place_of(const Directory &parent, const std::string &base) {
    return std::hash<std::string>()(base) * 0x9e3779b97f4a7c15u + parent.inode;
}

Tree::Tree(Descriptor root, Budget &budget) : budget_(budget) {
    root_.fd = std::move(root);
    root_.inode = status_of(root_.fd.get()).st_ino;
    directories_[root_.inode] = Meta{};
    if (!names_in(root_).empty())
        throw Refusal(Fault::usage, "the directory to unpack into is not empty");
}

void Tree::begin_layer(bool is_lowest) {
    lowest_ = is_lowest;
    touched_.clear();
    marked_.clear();
    parent_ = Directory();
}

const Directory &Tree::make_parent(const std::string &path, const std::string &entry) {
    if (path.empty())
        return root_;
    if (!parent_.fd || parent_path_ != path) {
        Directory found;
        resolve(path, entry, true, found);
        parent_ = std::move(found);
        parent_path_ = path;
        touch(parent_);
    }
    return parent_;
}

const Directory *Tree::find_parent(const std::string &path, const std::string &entry) {
    if (path.empty())
        return &root_;
    if (!parent_.fd || parent_path_ != path) {
        Directory found;
        if (!resolve(path, entry, false, found))
            return nullptr;
        // Not remembered as make_parent() would, which touches.
        parent_ = std::move(found);
        parent_path_.clear();
    }
    return &parent_;
}

bool Tree::resolve(const std::string &path, const std::string &entry, bool make, Directory &out) {
    out.fd.reset(open_in_root(root_.fd.get(), path));
    if (out.fd) {
        out.inode = status_of(out.fd.get()).st_ino;
        return true;
    }
    out = open_directory(root_.fd.get(), ".");
    std::deque<std::string> todo;
    push_components(todo, path);
    int links = 0;
    while (!todo.empty()) {
        const std::string component = todo.front();
        todo.pop_front();
        if (component == "..") {
            if (out.inode != root_.inode)
                out = open_directory(out.fd.get(), "..");
            continue;
        }
        if (component.size() > NAME_MAX)
            refuse_image("the entry " + quoted(entry) +
                         " goes through a link to a name of more than 255 bytes");
        Directory next = open_directory(out.fd.get(), component, false);
        if (!next.fd) {
            struct stat status;
            const bool exists = fstatat(out.fd.get(), component.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
            if (exists && S_ISLNK(status.st_mode)) {
                if (++links > most_links)
                    refuse_image("the entry " + quoted(entry) +
                                 " goes through more than 40 links, or a loop of them");
                const std::string target = read_link(out.fd.get(), component);
                if (!target.empty() && target[0] == '/')
                    out = open_directory(root_.fd.get(), ".");
                push_components(todo, target);
                continue;
            }
            if (!make)
                return false;
            if (exists && !replaces_lower(out, component))
                refuse_image("the entry " + quoted(entry) + " lies below " + quoted(component) +
                             ", which is no directory; rebuild the image");
            if (exists)
                remove(out, component);
            next = make_directory(out, component, entry);
        }
        out = std::move(next);
    }
    return true;
}

// An upper layer may say "d/x" without saying "d", and hides a lower file "d" by that.
bool Tree::replaces_lower(const Directory &parent, const std::string &base) {
    return !lowest_ && !marked_.contains(place_of(parent, base));
}

Directory Tree::make_directory(const Directory &parent, const std::string &base, const std::string &entry) {
    const unsigned depth = directories_[parent.inode].depth + 1;
    if (depth > deepest)
        refuse_image("the entry " + quoted(entry) +
                     " lies more than 256 directories deep; rebuild the image");
    budget_.take_inode(entry);
    if (mkdirat(parent.fd.get(), base.c_str(), 0700) != 0)
        fail_to_make(errno, "the directory " + quoted(entry));
    Directory made = open_directory(parent.fd.get(), base);
    Meta meta;
    meta.depth = depth;
    directories_[made.inode] = meta;
    touch(made);
    return made;
}

Directory Tree::put_directory(const Directory &parent, const std::string &base, const std::string &entry) {
    Directory present = open_directory(parent.fd.get(), base, false);
    if (present.fd) {
        touch(present);
        return present;
    }
    remove(parent, base);
    return make_directory(parent, base, entry);
}

void Tree::set_directory(const Directory &directory, mode_t mode, const struct timespec &mtime) {
    Meta &meta = directories_[directory.inode];
    meta.mode = mode;
    meta.mtime = mtime;
}

void Tree::mark(const Directory &parent, const std::string &base) {
    if (!lowest_)
        marked_.insert(place_of(parent, base));
}

// Climbs rather than remembers the way down, because links may have led here from anywhere.
void Tree::touch(const Directory &directory) {
    if (lowest_)
        return;
    Directory climbing;
    const Directory *at = &directory;
    while (at->inode != root_.inode && !touched_.contains(at->inode)) {
        touched_.insert(at->inode);
        climbing = open_directory(at->fd.get(), "..");
        at = &climbing;
    }
}

void Tree::remove(const Directory &parent, const std::string &base) {
    struct stat status;
    if (fstatat(parent.fd.get(), base.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT)
            return;
        fail_with(errno, "cannot look at " + quoted(base));
    }
    const bool is_directory = S_ISDIR(status.st_mode);
    if (is_directory) {
        remove_contents(open_directory(parent.fd.get(), base));
        directories_.erase(status.st_ino);
    }
    if (unlinkat(parent.fd.get(), base.c_str(), is_directory ? AT_REMOVEDIR : 0) != 0)
        fail_with(errno, "cannot remove " + quoted(base));
    budget_.give_back(S_ISREG(status.st_mode) && status.st_nlink == 1 ? static_cast<uint64_t>(status.st_size)
                                                                      : 0);
    // The path of parent_ may have led through what is gone.
    if (!S_ISREG(status.st_mode))
        parent_path_.clear();
}

void Tree::remove_contents(const Directory &directory) {
    for (const std::string &name : names_in(directory))
        remove(directory, name);
}

void Tree::hide_lower(const Directory &parent, const std::string &base) {
    if (lowest_)
        return;
    const Directory directory = open_directory(parent.fd.get(), base, false);
    if (directory.fd ? touched_.contains(directory.inode) : marked_.contains(place_of(parent, base))) {
        if (directory.fd)
            hide_lower_contents(directory);
        return;
    }
    remove(parent, base);
}

void Tree::hide_lower_contents(const Directory &directory) {
    if (lowest_)
        return;
    for (const std::string &name : names_in(directory))
        hide_lower(directory, name);
}

void Tree::finish() {
    finish_directory(root_);
}

void Tree::finish_directory(const Directory &directory) {
    for (const std::string &name : names_in(directory)) {
        const Directory child = open_directory(directory.fd.get(), name, false);
        if (child.fd)
            finish_directory(child);
    }
    const Meta &meta = directories_[directory.inode];
    const struct timespec times[2] = {{0, UTIME_OMIT}, meta.mtime};
    if (fchmod(directory.fd.get(), meta.mode) != 0 || futimens(directory.fd.get(), times) != 0)
        fail_with(errno, "cannot set the mode and time of a directory");
}

} // namespace stowage
