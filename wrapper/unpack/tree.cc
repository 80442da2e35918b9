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
// What a directory needs to be worked in.
constexpr mode_t owner_bits = 0700;
// What a directory gets that is nobody's entry.
constexpr mode_t implied_mode = 0755;
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

enum class Names { all, directories };

std::vector<std::string> names_in(const Directory &directory, Names wanted = Names::all) {
    // A descriptor of its own, because reading moves the offset and closedir closes it.
    const int fd = openat(directory.fd.get(), ".", directory_flags);
    if (fd < 0)
        fail_with(errno, "cannot read a directory of the tree");
    const std::unique_ptr<DIR, int (*)(DIR *)> stream(fdopendir(fd), closedir);
    if (!stream)
        throw std::bad_alloc();
    std::vector<std::string> names;
    while (const struct dirent *item = readdir(stream.get())) {
        if (wanted == Names::directories && item->d_type != DT_DIR && item->d_type != DT_UNKNOWN)
            continue;
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

Tree::Tree(Descriptor root, Budget &budget, unsigned max_depth) : budget_(budget), max_depth_(max_depth) {
    root_.fd = std::move(root);
    root_.inode = status_of(root_.fd.get()).st_ino;
    if (!names_in(root_).empty())
        throw Refusal(Fault::usage, "the directory to unpack into is not empty");
    keeps_modes_ = find_whether_modes_are_kept();
}

bool Tree::find_whether_modes_are_kept() const {
    constexpr char probe[] = "probe";
    constexpr mode_t mode = 01777;
    struct stat status;
    if (mkdirat(root_.fd.get(), probe, mode) != 0)
        return false;
    const bool is_known = fstatat(root_.fd.get(), probe, &status, AT_SYMLINK_NOFOLLOW) == 0;
    if (unlinkat(root_.fd.get(), probe, AT_REMOVEDIR) != 0)
        fail_with(errno, "cannot remove a directory from the tree");
    return is_known && (status.st_mode & 07777) == mode;
}

void Tree::begin_layer(bool is_lowest) {
    lowest_ = is_lowest;
    touched_.clear();
    marked_.clear();
    for (Remembered &each : remembered_)
        each = Remembered();
}

const Directory &Tree::make_parent(const std::string &path, const std::string &entry) {
    if (path.empty())
        return root_;
    Remembered *found = recall(path);
    if (!found) {
        Directory made;
        resolve(path, entry, true, made);
        found = &remember(path, std::move(made), lowest_);
    }
    if (!found->is_touched) {
        touch(found->directory);
        found->is_touched = true;
    }
    return found->directory;
}

const Directory *Tree::find_parent(const std::string &path, const std::string &entry) {
    if (path.empty())
        return &root_;
    Remembered *known = recall(path);
    if (!known) {
        Directory found;
        if (!resolve(path, entry, false, found))
            return nullptr;
        known = &remember(path, std::move(found), lowest_);
    }
    return &known->directory;
}

Tree::Remembered *Tree::recall(const std::string &path) {
    for (Remembered &each : remembered_) {
        if (each.path == path) {
            each.used = ++uses_;
            return &each;
        }
    }
    return nullptr;
}

// In the place of the one not used for longest.
Tree::Remembered &Tree::remember(const std::string &path, Directory directory, bool is_touched) {
    Remembered &oldest = *std::min_element(remembered_.begin(), remembered_.end(),
                                           [](const auto &a, const auto &b) { return a.used < b.used; });
    oldest = {std::move(directory), path, is_touched, ++uses_};
    return oldest;
}

// The directories stay open, because a caller may be working in one.
void Tree::forget_paths() {
    for (Remembered &each : remembered_)
        each.path.clear();
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
            next = make_directory(out, component, implied_mode, entry);
            if (!next.fd)
                fail_with(EEXIST, "cannot make the directory " + quoted(component));
        }
        out = std::move(next);
    }
    return true;
}

// An upper layer may say "d/x" without saying "d", and hides a lower file "d" by that.
bool Tree::replaces_lower(const Directory &parent, const std::string &base) {
    return !lowest_ && !marked_.contains(place_of(parent, base));
}

// Nothing where there is something of that name.
Directory Tree::make_directory(const Directory &parent, const std::string &base, mode_t mode,
                               const std::string &entry) {
    Meta &above = directories_[parent.inode];
    if (above.depth >= max_depth_)
        refuse_image("the entry " + quoted(entry) + " lies more than " + std::to_string(max_depth_) +
                     " directories deep; rebuild the image");
    const unsigned depth = above.depth + 1;
    if (mkdirat(parent.fd.get(), base.c_str(), mode | owner_bits) != 0) {
        if (errno == EEXIST)
            return Directory();
        fail_to_make(errno, "the directory " + quoted(entry));
    }
    above.is_leaf = 0;
    budget_.take_inode(entry);
    Directory made = open_directory(parent.fd.get(), base);
    Meta &meta = directories_[made.inode];
    meta = Meta();
    meta.inode = made.inode;
    meta.depth = depth & DirectoryTable::deepest;
    if (keeps_modes_)
        meta.present_mode = (mode | owner_bits) & DirectoryTable::mode_bits;
    touch(made);
    return made;
}

const Directory &Tree::put_directory(const EntryName &name, mode_t mode, const std::string &entry) {
    const Directory &parent = make_parent(name.parent, entry);
    std::string path = name.full();
    Directory directory = make_directory(parent, name.base, mode, entry);
    if (!directory.fd) {
        directory = open_directory(parent.fd.get(), name.base, false);
        if (directory.fd) {
            touch(directory);
        } else {
            remove(parent, name.base);
            directory = make_directory(parent, name.base, mode, entry);
            // What is gone may be a link by which `path` led here.
            path.clear();
        }
    }
    return remember(path, std::move(directory), true).directory;
}

void Tree::set_directory(const Directory &directory, mode_t mode, const struct timespec &mtime) {
    Meta &meta = directories_[directory.inode];
    meta.mode = mode & DirectoryTable::mode_bits;
    meta.seconds = mtime.tv_sec;
    meta.nanoseconds = static_cast<uint32_t>(mtime.tv_nsec);
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
    }
    if (unlinkat(parent.fd.get(), base.c_str(), is_directory ? AT_REMOVEDIR : 0) != 0)
        fail_with(errno, "cannot remove " + quoted(base));
    budget_.give_back(S_ISREG(status.st_mode) && status.st_nlink == 1 ? static_cast<uint64_t>(status.st_size)
                                                                      : 0);
    // The paths of remembered directories may have led through what is gone.
    if (!S_ISREG(status.st_mode))
        forget_paths();
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
    const Meta meta = directories_[directory.inode];
    if (!meta.is_leaf) {
        for (const std::string &name : names_in(directory, Names::directories)) {
            const Directory child = open_directory(directory.fd.get(), name, false);
            if (child.fd)
                finish_directory(child);
        }
    }
    const struct timespec times[2] = {{0, UTIME_OMIT}, {meta.seconds, static_cast<long>(meta.nanoseconds)}};
    if ((meta.mode != meta.present_mode && fchmod(directory.fd.get(), meta.mode) != 0) ||
        futimens(directory.fd.get(), times) != 0)
        fail_with(errno, "cannot set the mode and time of a directory");
}

} // namespace stowage
