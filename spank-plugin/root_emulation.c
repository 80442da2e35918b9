#include "root_emulation.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { X32_BIT = 0x40000000 };

// System calls by their numbers, because a filter is for all architectures whose programs the kernel runs,
// and its headers name only those of one. None of these calls has the number 0, which stands for one that an
// architecture does not have.
struct abi {
    uint32_t architecture;
    // chown, fchown, lchown, fchownat; those of the first three that take 32 bits.
    int owner[7];
    // setuid, setgid, setreuid, setregid, setresuid, setresgid, setfsuid, setfsgid, setgroups; all of them
    // again that take 32 bits.
    int identity[18];
    int capset;
    int mknod;
    int mknodat;
};

static const struct abi ABIS[] = {
    {.architecture = AUDIT_ARCH_X86_64,
     .owner = {92, 93, 94, 260},
     .identity = {105, 106, 113, 114, 117, 119, 122, 123, 116},
     .capset = 126,
     .mknod = 133,
     .mknodat = 259},
    {.architecture = AUDIT_ARCH_I386,
     .owner = {182, 95, 16, 298, 212, 207, 198},
     .identity = {23, 46, 70, 71, 164, 170, 138, 139, 81, 213, 214, 203, 204, 208, 210, 215, 216, 206},
     .capset = 185,
     .mknod = 14,
     .mknodat = 297},
    {.architecture = AUDIT_ARCH_AARCH64,
     .owner = {0, 55, 0, 54},
     .identity = {146, 144, 145, 143, 147, 149, 151, 152, 159},
     .capset = 91,
     .mknodat = 33},
    {.architecture = AUDIT_ARCH_ARM,
     .owner = {182, 95, 16, 325, 212, 207, 198},
     .identity = {23, 46, 70, 71, 164, 170, 138, 139, 81, 213, 214, 203, 204, 208, 210, 215, 216, 206},
     .capset = 185,
     .mknod = 14,
     .mknodat = 324},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, (action))
#define GO_ON_UNLESS(value, skipped) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), 0, (skipped))

// Lets the calls succeed. Returns the number of instructions, as the next three do.
static size_t succeed(struct sock_filter *at, const int *calls, size_t calls_count) {
    size_t count = 0;
    for (size_t i = 0; i < calls_count; i++) {
        if (calls[i] == 0)
            continue;
        at[count++] = (struct sock_filter)GO_ON_UNLESS(calls[i], 1);
        at[count++] = (struct sock_filter)RETURN(SECCOMP_RET_ERRNO);
    }
    return count;
}

// Devices are not made, and that succeeds; FIFOs, sockets and files are. The low half of an argument comes
// first on these architectures.
static size_t make_no_devices(struct sock_filter *at, int number, size_t mode_argument) {
    if (number == 0)
        return 0;
    const uint32_t mode = (uint32_t)(offsetof(struct seccomp_data, args) + mode_argument * sizeof(uint64_t));
    const struct sock_filter filter[] = {
        GO_ON_UNLESS(number, 6),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, mode),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, S_IFMT),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, S_IFCHR, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, S_IFBLK, 0, 1),
        RETURN(SECCOMP_RET_ERRNO),
        RETURN(SECCOMP_RET_ALLOW),
    };
    memcpy(at, filter, sizeof filter);
    return sizeof filter / sizeof *filter;
}

static size_t emulate(struct sock_filter *at, const struct abi *abi) {
    size_t count = 1;
    at[count++] = (struct sock_filter)LOAD(nr);
    if (abi->architecture == AUDIT_ARCH_X86_64) {
        // The x32 ABI, which hardly a kernel has.
        at[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
        at[count++] = (struct sock_filter)RETURN(SECCOMP_RET_ERRNO | ENOSYS);
    }
    count += succeed(at + count, abi->owner, COUNT(abi->owner));
    count += succeed(at + count, abi->identity, COUNT(abi->identity));
    count += succeed(at + count, &abi->capset, 1);
    count += make_no_devices(at + count, abi->mknod, 1);
    count += make_no_devices(at + count, abi->mknodat, 2);
    at[count++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
    at[0] = (struct sock_filter)GO_ON_UNLESS(abi->architecture, (uint8_t)(count - 1));
    return count;
}

size_t root_emulation_filter(struct sock_filter filter[ROOT_EMULATION_MAX]) {
    size_t count = 0;
    filter[count++] = (struct sock_filter)LOAD(arch);
    for (size_t i = 0; i < COUNT(ABIS); i++)
        count += emulate(filter + count, &ABIS[i]);
    filter[count++] = (struct sock_filter)RETURN(SECCOMP_RET_KILL_PROCESS);
    return count;
}

#if defined(__x86_64__) || defined(__aarch64__)
int root_emulation_start(struct error *err) {
    struct sock_filter filter[ROOT_EMULATION_MAX];
    struct sock_fprog program = {.filter = filter, .len = (unsigned short)root_emulation_filter(filter)};
    // Nothing here keeps secrets from the process: it need not be slowed down on their account.
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program) != 0)
        return error_errno(err,
                           "this kernel does not let users filter system calls (seccomp), as --image-root "
                           "needs");
    return 0;
}
#else
int root_emulation_start(struct error *err) {
    return error_set(err, "--image-root is not available on this node's kind of processor");
}
#endif
