#include "root_emulation.h"
#include "scratch.h"
#include "tap.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

static struct sock_filter filter[ROOT_EMULATION_MAX];
static size_t length;

// As the kernel runs it, as much of the language as the filter speaks.
static uint32_t run(struct seccomp_data data) {
    uint32_t value = 0;
    for (size_t at = 0; at < length; at++) {
        const struct sock_filter *now = &filter[at];
        switch (now->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            memcpy(&value, (const char *)&data + now->k, sizeof value);
            break;
        case BPF_ALU | BPF_AND | BPF_K:
            value &= now->k;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
            at += value == now->k ? now->jt : now->jf;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            at += value >= now->k ? now->jt : now->jf;
            break;
        case BPF_RET | BPF_K:
            return now->k;
        default:
            must(false, "an instruction that the test does not know");
        }
    }
    must(false, "the filter has no end");
    return 0;
}

static const char *const SUCCEEDING[] = {
    "chown",      "chown32",    "fchown",      "fchown32",    "lchown",      "lchown32",   "fchownat",
    "setuid",     "setuid32",   "setgid",      "setgid32",    "setreuid",    "setreuid32", "setregid",
    "setregid32", "setresuid",  "setresuid32", "setresgid",   "setresgid32", "setfsuid",   "setfsuid32",
    "setfsgid",   "setfsgid32", "setgroups",   "setgroups32", "capset",
};

static bool is_succeeding(const char *name) {
    for (size_t i = 0; i < sizeof SUCCEEDING / sizeof *SUCCEEDING; i++) {
        if (strcmp(name, SUCCEEDING[i]) == 0)
            return true;
    }
    return false;
}

static uint32_t run_mknod(uint32_t architecture, int number, int mode_argument, mode_t mode) {
    struct seccomp_data data = {.nr = number, .arch = architecture};
    data.args[mode_argument] = mode;
    return run(data);
}

static bool treats_mknod(uint32_t architecture, const char *name, int mode_argument) {
    int number = seccomp_syscall_resolve_name_arch(architecture, name);
    return number < 0 ||
           (run_mknod(architecture, number, mode_argument, S_IFCHR | 0666) == SECCOMP_RET_ERRNO &&
            run_mknod(architecture, number, mode_argument, S_IFBLK | 0660) == SECCOMP_RET_ERRNO &&
            run_mknod(architecture, number, mode_argument, S_IFIFO | 0666) == SECCOMP_RET_ALLOW &&
            run_mknod(architecture, number, mode_argument, S_IFSOCK) == SECCOMP_RET_ALLOW &&
            run_mknod(architecture, number, mode_argument, S_IFREG | 0644) == SECCOMP_RET_ALLOW &&
            run_mknod(architecture, number, mode_argument, 0644) == SECCOMP_RET_ALLOW);
}

// libseccomp has its own tables of what the numbers mean.
static void check_architecture(uint32_t architecture, const char *called) {
    unsigned wrong = 0, succeeding = 0;
    for (int number = 0; number < 600; number++) {
        char *name = seccomp_syscall_resolve_num_arch(architecture, number);
        bool expected = name && is_succeeding(name);
        if (!name || strncmp(name, "mknod", 5) != 0) {
            uint32_t action = run((struct seccomp_data){.nr = number, .arch = architecture});
            bool right = action == (expected ? SECCOMP_RET_ERRNO : SECCOMP_RET_ALLOW);
            if (!right)
                printf("# %s: %d, %s: %#x\n", called, number, name ? name : "nothing", action);
            wrong += !right;
            succeeding += expected;
        }
        free(name);
    }
    ok(wrong == 0 && succeeding >= 12, "%s: lets succeed what it is to, %u calls, and nothing else", called,
       succeeding);
    ok(treats_mknod(architecture, "mknod", 1) && treats_mknod(architecture, "mknodat", 2),
       "%s: tells devices from what else mknod makes", called);
}

static void check_others(void) {
    struct seccomp_data data = {.nr = 92 | 0x40000000, .arch = AUDIT_ARCH_X86_64};
    ok(run(data) == (SECCOMP_RET_ERRNO | ENOSYS), "x32: knows no call");
    data.arch = AUDIT_ARCH_PPC64LE;
    ok(run(data) == SECCOMP_RET_KILL_PROCESS, "ends a program of an architecture that it does not know");
}

// What a process sees.
static int try_as_root(int at) {
    struct stat info;
    struct error err;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || root_emulation_start(&err) != 0)
        return 1;
    if (fchownat(at, "file", 0, 0, 0) != 0 || fchownat(at, "missing", 1, 2, 0) != 0 ||
        setgroups(0, NULL) != 0 || setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0 || setfsuid(0) != 0)
        return 2;
    if (mknodat(at, "device", S_IFCHR | 0666, makedev(1, 3)) != 0 || exists(at, "device"))
        return 3;
    if (mkfifoat(at, "fifo", 0600) != 0 || fstatat(at, "fifo", &info, 0) != 0 || !S_ISFIFO(info.st_mode))
        return 4;
    return getuid() == geteuid() && getuid() != 0 ? 0 : 5;
}

static void check_a_process(void) {
    char base[PATH_MAX];
    int at = scratch_make(base);
    make_file(at, "file", "", 0644);
    pid_t pid = fork();
    if (pid == 0)
        _exit(try_as_root(at));
    int status = 0;
    must(waitpid(pid, &status, 0) == pid, "waitpid");
    ok(WIFEXITED(status) && WEXITSTATUS(status) == 0,
       "a process can give files away, change its users and make devices, as far as it can tell (%#x)",
       status);
    struct error err;
    pid = fork();
    if (pid == 0)
        _exit(root_emulation_start(&err) == -1 && strstr(err.text, "seccomp") ? 0 : 1);
    must(waitpid(pid, &status, 0) == pid, "waitpid");
    ok(status == 0, "says so where the kernel does not allow filters");
    close(at);
    scratch_remove(base);
}

int main(void) {
    become_ordinary();
    length = root_emulation_filter(filter);
    ok(length < ROOT_EMULATION_MAX, "has room: %zu of %d instructions", length, ROOT_EMULATION_MAX);
    check_architecture(AUDIT_ARCH_X86_64, "x86-64");
    check_architecture(AUDIT_ARCH_I386, "i386");
    check_architecture(AUDIT_ARCH_AARCH64, "aarch64");
    check_architecture(AUDIT_ARCH_ARM, "arm");
    check_others();
    check_a_process();
    return tap_done();
}
