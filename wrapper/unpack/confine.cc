#include "confine.hh"
#include "refusal.hh"
#include "syscall_filter.hh"

#include <algorithm>
#include <cerrno>
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
    std::vector<int> kept = {STDERR_FILENO, options.root_fd};
    if (options.progress_fd >= 0)
        kept.push_back(options.progress_fd);
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

void set_limits(const Options &options) {
    set_limit(RLIMIT_CORE, 0);
    set_limit(RLIMIT_FSIZE, options.max_bytes);
    // Past the limit write() shall fail with EFBIG, which has a sentence, instead of a signal.
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
}

} // namespace

Descriptor confine(const Options &options) {
    keep_only_needed_descriptors(options);
    if (fchdir(options.root_fd) != 0)
        throw Refusal(Fault::usage,
                      std::string("--root-fd is no directory that can be entered: ") + strerror(errno));
    enter_namespaces();
    Descriptor root = pivot_into_working_directory();
    // It still leads out, into the old mount namespace.
    close(options.root_fd);
    set_limits(options);
    drop_capabilities();
    umask(0);
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        cannot("give up new privileges");
    install_syscall_filter();
    return root;
}

} // namespace stowage
