#include "confine.hh"
#include "refusal.hh"
#include "syscall_filter.hh"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <string>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace stowage {

namespace {

[[noreturn]] void cannot(const std::string &what) {
    throw Refusal(Fault::node, "cannot confine the unpacker: " + what + ": " + strerror(errno));
}

void close_all_but(std::vector<int> kept) {
    std::sort(kept.begin(), kept.end());
    unsigned first = 0;
    for (const int fd : kept) {
        if (static_cast<unsigned>(fd) > first)
            close_range(first, static_cast<unsigned>(fd) - 1, 0);
        first = static_cast<unsigned>(fd) + 1;
    }
    close_range(first, ~0u, 0);
}

void keep_only_needed_descriptors(const Options &options) {
    std::vector<int> kept = {STDERR_FILENO};
    for (const int fd : {options.root_fd, options.progress_fd, options.directory_fd, options.identify_fd})
        if (fd >= 0)
            kept.push_back(fd);
    if (options.identify_fd >= 0)
        kept.push_back(STDOUT_FILENO);
    for (const LayerSource &layer : options.layers)
        kept.push_back(layer.fd);
    if (options.file)
        kept.push_back(options.file->fd);
    close_all_but(kept);
    // So that no file of the image ever becomes descriptor 0 or 1.
    for (int fd = 0; fd < STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR | O_CLOEXEC) < 0)
            cannot("open /dev/null");
}

void write_file(const char *path, const std::string &text) {
    const Descriptor file(open(path, O_WRONLY | O_CLOEXEC));
    if (!file || write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        cannot(std::string("write ") + path);
}

void enter_namespaces() {
    const uid_t uid = geteuid();
    const gid_t gid = getegid();
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0)
        throw Refusal(Fault::node, std::string("this node does not let users make namespaces (") +
                                       strerror(errno) +
                                       "), which Stowage needs; ask the administrator to allow "
                                       "unprivileged user namespaces");
    write_file("/proc/self/setgroups", "deny");
    write_file("/proc/self/uid_map", std::to_string(uid) + ' ' + std::to_string(uid) + " 1");
    write_file("/proc/self/gid_map", std::to_string(gid) + ' ' + std::to_string(gid) + " 1");
}

// The working directory must be the new root already: unshare() carried it over into the new mount
// namespace, whereas descriptors still lead into the old one and cannot be bound here.
Descriptor pivot_into_working_directory() {
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
        cannot("make the mounts private");
    const Descriptor tree(open_tree(AT_FDCWD, ".", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
    if (!tree || move_mount(tree.get(), "", AT_FDCWD, ".", MOVE_MOUNT_F_EMPTY_PATH) != 0)
        cannot("bind the tree's root directory");
    // pivot_root(".", ".") stacks the old root upon the new one, and the detach takes it off again.
    if (fchdir(tree.get()) != 0 || syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0 ||
        chdir("/") != 0)
        cannot("make the tree the root of the file system");
    Descriptor root(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root)
        cannot("open the tree's root directory");
    return root;
}

// The descriptor leads into the old mount namespace, where its parents are, so that the directory is looked
// up again in this one.
Descriptor open_read_only(int fd) {
    std::string path(PATH_MAX, '\0');
    const ssize_t length =
        readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path.data(), path.size());
    if (length <= 0 || static_cast<size_t>(length) == path.size())
        cannot("find the directory to copy");
    path.resize(static_cast<size_t>(length));
    const Descriptor tree(
        open_tree(AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
    struct stat wanted, found;
    if (!tree || fstat(fd, &wanted) != 0 || fstat(tree.get(), &found) != 0 || wanted.st_dev != found.st_dev ||
        wanted.st_ino != found.st_ino)
        throw Refusal(Fault::node,
                      "the directory to copy is not to be found under its name any more; try again");
    struct mount_attr read_only = {};
    read_only.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    if (mount_setattr(tree.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, &read_only, sizeof read_only) != 0)
        cannot("make the directory to copy read-only");
    Descriptor directory(openat(tree.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory)
        throw Refusal(Fault::image, std::string("the directory to copy cannot be read: ") + strerror(errno));
    close(fd);
    return directory;
}

// The new user namespace may mount on any directory, and /proc is there wherever Stowage runs.
void enter_empty_directory() {
    if (mount("none", "/proc", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
              "size=4k,nr_inodes=1") != 0 ||
        chdir("/proc") != 0)
        cannot("make an empty directory");
}

void drop_capabilities() {
    for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++)
        if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0)
            cannot("drop capabilities");
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
        cannot("drop ambient capabilities");
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    const struct __user_cap_data_struct none[2] = {};
    if (syscall(SYS_capset, &header, none) != 0)
        cannot("drop capabilities");
}

void set_limit(__rlimit_resource resource, rlim_t value) {
    struct rlimit limit;
    if (getrlimit(resource, &limit) != 0)
        cannot("read a resource limit");
    limit.rlim_max = std::min(limit.rlim_max, value);
    limit.rlim_cur = std::min(limit.rlim_cur, limit.rlim_max);
    if (setrlimit(resource, &limit) != 0)
        cannot("set a resource limit");
}

// At the soft limit comes SIGXCPU, which supervise() explains; at the hard one SIGKILL, which means anything.
void set_processor_time(rlim_t seconds) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_CPU, &limit) != 0)
        cannot("read a resource limit");
    limit.rlim_max = std::min(limit.rlim_max, seconds + 1);
    limit.rlim_cur = std::min({limit.rlim_cur, limit.rlim_max, seconds});
    if (setrlimit(RLIMIT_CPU, &limit) != 0)
        cannot("set a resource limit");
}

void set_limits(const Options &options) {
    set_limit(RLIMIT_CORE, 0);
    if (options.max_bytes > 0)
        set_limit(RLIMIT_FSIZE, options.max_bytes);
    if (options.max_seconds > 0)
        set_processor_time(options.max_seconds);
    // Past the limit write() shall fail with EFBIG, which has a sentence, instead of a signal.
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
}

} // namespace

Descriptor confine(Options &options) {
    const bool identifies = options.identify_fd >= 0;
    keep_only_needed_descriptors(options);
    if (!identifies && fchdir(options.root_fd) != 0)
        throw Refusal(Fault::usage,
                      std::string("--root-fd is no directory that can be entered: ") + strerror(errno));
    enter_namespaces();
    if (options.directory_fd >= 0)
        options.directory_fd = open_read_only(options.directory_fd).release();
    if (identifies)
        enter_empty_directory();
    Descriptor root = pivot_into_working_directory();
    if (identifies)
        root.reset();
    else
        // It still leads out, into the old mount namespace.
        close(options.root_fd);
    set_limits(options);
    drop_capabilities();
    umask(0);
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        cannot("give up new privileges");
    install_syscall_filter(options);
    return root;
}

} // namespace stowage
