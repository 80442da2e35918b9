#include "scratch.hh"
#include "memory.hh"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <memory>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace stowage::fuzz {

namespace {

// Any directory will do; in this process's own mount namespace it is covered.
constexpr char place[] = "/mnt";
constexpr int directory_flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

[[noreturn]] void cannot(const char *what) {
    fprintf(stderr, "fuzzing needs a place of its own: cannot %s: %s\n", what, strerror(errno));
    _exit(2);
}

void write_file(const char *path, const std::string &text) {
    const Descriptor file(open(path, O_WRONLY | O_CLOEXEC));
    if (!file || write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        cannot(path);
}

void enter_namespaces() {
    const std::string uid = std::to_string(geteuid());
    const std::string gid = std::to_string(getegid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET) != 0)
        cannot("make namespaces");
    write_file("/proc/self/setgroups", "deny");
    write_file("/proc/self/uid_map", uid + ' ' + uid + " 1");
    write_file("/proc/self/gid_map", gid + ' ' + gid + " 1");
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
        cannot("make the mounts private");
    if (mount("fuzz", place, "tmpfs", MS_NOSUID | MS_NODEV, "mode=700,size=64m,nr_inodes=20000") != 0)
        cannot("mount a tmpfs");
}

// Else the modes of directories would mean nothing.
void drop_capabilities() {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {};
    if (syscall(SYS_capset, &header, none) != 0)
        cannot("drop capabilities");
}

std::vector<std::string> names_in(int fd) {
    const int copy = openat(fd, ".", directory_flags);
    if (copy < 0)
        finding(std::string("a directory of the tree cannot be opened: ") + strerror(errno));
    const std::unique_ptr<DIR, int (*)(DIR *)> stream(fdopendir(copy), closedir);
    std::vector<std::string> names;
    while (const struct dirent *item = readdir(stream.get()))
        if (strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0)
            names.push_back(item->d_name);
    return names;
}

void remove_below(int fd) {
    for (const std::string &name : names_in(fd)) {
        if (unlinkat(fd, name.c_str(), 0) == 0)
            continue;
        fchmodat(fd, name.c_str(), 0700, 0);
        {
            const Descriptor child(openat(fd, name.c_str(), directory_flags));
            remove_below(child.get());
        }
        if (unlinkat(fd, name.c_str(), AT_REMOVEDIR) != 0)
            finding(std::string("the tree cannot be removed: ") + strerror(errno));
    }
}

std::string content_of(int fd, const std::string &name) {
    const Descriptor file(openat(fd, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!file)
        finding("a file of the tree cannot be read");
    std::string content;
    char piece[4096];
    ssize_t count;
    while ((count = read(file.get(), piece, sizeof piece)) > 0)
        content.append(piece, static_cast<size_t>(count));
    return content;
}

class Describer {
  public:
    Description describe(int root) {
        struct stat status;
        fstat(root, &status);
        add_directory("", status, root);
        for (auto &[path, item] : description_)
            item.first = item.type == 'd' ? path : first_.at(inode_.at(path));
        return std::move(description_);
    }

  private:
    void add_directory(const std::string &path, const struct stat &status, int fd) {
        Item item;
        item.mode = status.st_mode & 07777;
        item.mtime = status.st_mtim.tv_sec;
        description_[path] = item;
        for (const std::string &name : names_in(fd))
            add(path.empty() ? name : path + '/' + name, fd, name);
    }

    void add(const std::string &path, int fd, const std::string &name) {
        struct stat status;
        if (fstatat(fd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
            finding("a name of the tree cannot be looked at");
        // Names of one file are met in any order, and its mode is gone after the first.
        const auto seen = modes_.emplace(status.st_ino, status.st_mode & 07777).first;
        if (!S_ISLNK(status.st_mode))
            fchmodat(fd, name.c_str(), 0700, 0);
        if (S_ISDIR(status.st_mode)) {
            const Descriptor child(openat(fd, name.c_str(), directory_flags));
            return add_directory(path, status, child.get());
        }
        Item item;
        item.type = S_ISREG(status.st_mode) ? 'f' : S_ISLNK(status.st_mode) ? 'l' : '?';
        item.links = status.st_nlink;
        item.mtime = status.st_mtim.tv_sec;
        if (item.type == 'l') {
            char target[4096];
            const ssize_t length = readlinkat(fd, name.c_str(), target, sizeof target);
            item.text.assign(target, static_cast<size_t>(std::max<ssize_t>(length, 0)));
        } else {
            item.mode = seen->second;
            item.text = content_of(fd, name);
        }
        inode_[path] = status.st_ino;
        const auto [first, is_new] = first_.emplace(status.st_ino, path);
        if (!is_new && path < first->second)
            first->second = path;
        description_[path] = item;
    }

    Description description_;
    std::map<ino_t, mode_t> modes_;
    std::map<ino_t, std::string> first_;
    std::map<std::string, ino_t> inode_;
};

bool is_unchanged(const struct stat &now, const struct stat &before) {
    return now.st_mode == before.st_mode && now.st_nlink == before.st_nlink &&
           now.st_size == before.st_size && now.st_ino == before.st_ino &&
           now.st_mtim.tv_sec == before.st_mtim.tv_sec && now.st_mtim.tv_nsec == before.st_mtim.tv_nsec &&
           now.st_ctim.tv_sec == before.st_ctim.tv_sec && now.st_ctim.tv_nsec == before.st_ctim.tv_nsec;
}

} // namespace

Scratch &Scratch::instance() {
    static Scratch scratch;
    return scratch;
}

Scratch::Scratch() {
    if (geteuid() == 0 || getuid() == 0) {
        fprintf(stderr, "fuzzing as root could ruin this machine; use npm run fuzz\n");
        _exit(2);
    }
    enter_namespaces();
    drop_capabilities();
    umask(0);
    place_.reset(open(place, directory_flags));
    if (!place_ || mkdirat(place_.get(), "tree-canary", 0700) != 0)
        cannot("make the canary");
    const Descriptor song(
        openat(place_.get(), "tree-canary/song", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!song || write(song.get(), "tweet", 5) != 5 || fstat(song.get(), &canary_) != 0)
        cannot("make the canary");
}

Descriptor Scratch::make_tree() {
    free_descriptor_ = dup(place_.get());
    close(free_descriptor_);
    bound_memory();
    if (mkdirat(place_.get(), "tree", 0700) != 0)
        cannot("make the tree");
    return Descriptor(openat(place_.get(), "tree", directory_flags));
}

Description Scratch::describe_tree() {
    const Descriptor tree(openat(place_.get(), "tree", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat status;
    fstat(tree.get(), &status);
    fchmodat(place_.get(), "tree", 0700, 0);
    const Descriptor readable(openat(place_.get(), "tree", directory_flags));
    Description description = Describer().describe(readable.get());
    description[""].mode = status.st_mode & 07777;
    return description;
}

void Scratch::remove_tree() {
    const int next = dup(place_.get());
    close(next);
    if (next != free_descriptor_)
        finding("a descriptor has been left open");
    fchmodat(place_.get(), "tree", 0700, 0);
    {
        const Descriptor tree(openat(place_.get(), "tree", directory_flags));
        remove_below(tree.get());
    }
    if (unlinkat(place_.get(), "tree", AT_REMOVEDIR) != 0)
        finding("the tree cannot be removed");
    struct stat song;
    const Descriptor canary(openat(place_.get(), "tree-canary", directory_flags));
    if (names_in(place_.get()).size() != 1 || names_in(canary.get()).size() != 1 ||
        fstatat(canary.get(), "song", &song, AT_SYMLINK_NOFOLLOW) != 0 || !is_unchanged(song, canary_))
        finding("something beside the tree has changed");
}

} // namespace stowage::fuzz
