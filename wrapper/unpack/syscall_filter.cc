#include "syscall_filter.hh"
#include "refusal.hh"

#include <cerrno>
#include <memory>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>

namespace stowage {

#ifdef __SANITIZE_ADDRESS__

void install_syscall_filter(const Options &) {
}

#else

namespace {

// The tree, always below the root that confine() made.
constexpr int tree_calls[] = {
    SCMP_SYS(openat),    SCMP_SYS(openat2),    SCMP_SYS(mkdirat),   SCMP_SYS(symlinkat),  SCMP_SYS(linkat),
    SCMP_SYS(unlinkat),  SCMP_SYS(readlinkat), SCMP_SYS(statx),     SCMP_SYS(getdents64), SCMP_SYS(fchmod),
    SCMP_SYS(utimensat), SCMP_SYS(fsetxattr),  SCMP_SYS(ftruncate), SCMP_SYS(pwrite64),   SCMP_SYS(fstatfs)};

// What the directory that is copied has besides what a tree has.
constexpr int copy_calls[] = {SCMP_SYS(flistxattr), SCMP_SYS(fgetxattr)};

constexpr int common_calls[] = {
    // descriptors; newfstatat is how glibc calls fstat
    SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(read), SCMP_SYS(pread64), SCMP_SYS(write),
    SCMP_SYS(lseek), SCMP_SYS(fcntl), SCMP_SYS(close), SCMP_SYS(poll), SCMP_SYS(ppoll),
    // memory
    SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
    // threads
    SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(sched_yield), SCMP_SYS(gettid),
    SCMP_SYS(getpid), SCMP_SYS(tgkill), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall), SCMP_SYS(exit), SCMP_SYS(exit_group),
    // time and chance
    SCMP_SYS(clock_gettime), SCMP_SYS(getrandom)};

void must(int result) {
    if (result == -ENOMEM)
        throw std::bad_alloc();
    if (result != 0)
        throw Refusal(Fault::node,
                      "this node's kernel does not take the unpacker's system call filter; ask the "
                      "administrator for a kernel with seccomp");
}

} // namespace

void install_syscall_filter(const Options &options) {
    const std::unique_ptr<void, void (*)(scmp_filter_ctx)> filter(seccomp_init(SCMP_ACT_KILL_PROCESS),
                                                                  seccomp_release);
    if (!filter)
        throw std::bad_alloc();
    const auto allow = [&](const auto &calls) {
        for (const int call : calls)
            must(seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, call, 0));
    };
    allow(common_calls);
    if (options.identify_fd < 0)
        allow(tree_calls);
    if (options.directory_fd >= 0)
        allow(copy_calls);
    // No memory that is executable.
    for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)})
        must(seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, call, 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)));
    // Threads, but no processes. clone3 hides its flags in memory; told that it does not exist, glibc uses
    // clone.
    if (options.identify_fd < 0) {
        must(seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0));
        must(seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD)));
    }
    must(seccomp_load(filter.get()));
}

#endif

} // namespace stowage
