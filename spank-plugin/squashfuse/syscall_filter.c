#include "syscall_filter.h"

#ifdef __SANITIZE_ADDRESS__

int syscall_filter_install(struct error *err) {
    (void)err;
    return 0;
}

#else

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>

static const int ALLOWED[] = {
    // the image and /dev/fuse, both open already; the sentence of a failure
    SCMP_SYS(pread64), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(write), SCMP_SYS(fstat),
    SCMP_SYS(newfstatat), SCMP_SYS(close),
    // memory
    SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
    // threads
    SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(sched_yield), SCMP_SYS(gettid),
    SCMP_SYS(getpid), SCMP_SYS(geteuid), SCMP_SYS(getegid), SCMP_SYS(tgkill), SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall), SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    // time and chance
    SCMP_SYS(clock_gettime), SCMP_SYS(getrandom)};

static int add_rules(scmp_filter_ctx filter) {
    int result = 0;
    for (size_t i = 0; result == 0 && i < sizeof ALLOWED / sizeof *ALLOWED; i++)
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, ALLOWED[i], 0);
    // No memory that is executable.
    static const int mapping[] = {SCMP_SYS(mmap), SCMP_SYS(mprotect)};
    for (size_t i = 0; result == 0 && i < sizeof mapping / sizeof *mapping; i++)
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, mapping[i], 1,
                                  SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    // Threads, but no processes. clone3 hides its flags in memory; told that it does not exist, glibc uses
    // clone.
    if (result == 0)
        result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (result == 0)
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                                  SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
    // To outlive stowage-enter once the container stands.
    if (result == 0)
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 2,
                                  SCMP_A0(SCMP_CMP_EQ, PR_SET_PDEATHSIG), SCMP_A1(SCMP_CMP_EQ, 0));
    return result;
}

int syscall_filter_install(struct error *err) {
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int result = filter ? add_rules(filter) : -ENOMEM;
    if (result == 0)
        result = seccomp_load(filter);
    seccomp_release(filter);
    return result == 0
               ? 0
               : error_set(err, "this node's kernel does not take the system call filter of "
                                "stowage-squashfuse; ask the administrator for a kernel with seccomp");
}

#endif
