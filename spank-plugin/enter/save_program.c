#include "save_program.h"
#include "cleanup.h"
#include "save_config.h"
#include "sibling_program.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

// mksquashfs would take a quarter of the node's memory, whatever the step may use.
#define SQUASHFS_MEMORY "256M"

static const char *const SQUASHFS_PROGRAMS[] = {"/usr/bin/mksquashfs", "/usr/sbin/mksquashfs",
                                                "/usr/local/bin/mksquashfs"};

static const char *squashfs_program(void) {
    for (size_t i = 0; i < sizeof SQUASHFS_PROGRAMS / sizeof *SQUASHFS_PROGRAMS; i++) {
        if (access(SQUASHFS_PROGRAMS[i], X_OK) == 0)
            return SQUASHFS_PROGRAMS[i];
    }
    return NULL;
}

int save_program_check(enum save_format format, struct error *err) {
    char path[PATH_MAX];
    if (format == SAVE_OCI)
        return sibling_program("stowage-save", path, err);
    return squashfs_program()
               ? 0
               : error_set(err,
                           "--image-save: this node has no mksquashfs; save to a file that ends in .tar, or "
                           "ask the administrators to install squashfs-tools");
}

// Ambient: an execve of a user who is not root would drop them. They hold in the step's user namespace, for
// files of the user, and no further.
static int keep_reading_all(void) {
    static const int WANTED[] = {CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER};
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    if (syscall(SYS_capget, &header, data) != 0)
        return -1;
    for (size_t i = 0; i < sizeof WANTED / sizeof *WANTED; i++)
        data[0].inheritable |= 1U << WANTED[i];
    if (syscall(SYS_capset, &header, data) != 0)
        return -1;
    for (size_t i = 0; i < sizeof WANTED / sizeof *WANTED; i++) {
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, WANTED[i], 0, 0) != 0)
            return -1;
    }
    return 0;
}

static int exec_squashfs(int file, char **environment, struct error *err) {
    char out[32];
    snprintf(out, sizeof out, "/proc/self/fd/%d", file);
    char *argv[] = {"mksquashfs",          ".", out,    "-noappend",     "-all-root",    "-comp",  "zstd",
                    "-Xcompression-level", "6", "-mem", SQUASHFS_MEMORY, "-no-progress", "-quiet", NULL};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fcntl(file, F_SETFD, 0) != 0 || null < 0 || dup2(null, STDIN_FILENO) < 0 ||
        dup2(null, STDOUT_FILENO) < 0)
        return error_errno(err, "cannot start mksquashfs");
    const char *program = squashfs_program();
    if (program)
        execve(program, argv, environment);
    return error_errno(err, "cannot start mksquashfs");
}

static int exec_oci(int file, const Stowage__V1__ContainerPlan *plan, const char *failing, char **environment,
                    struct error *err) {
    char path[PATH_MAX];
    char *argv[] = {"stowage-save", ".", (char *)failing, NULL};
    cleanup_close int config = save_config_open(plan, err);
    if (config < 0 || sibling_program("stowage-save", path, err) != 0)
        return -1;
    if (dup2(config, STDIN_FILENO) < 0 || dup2(file, STDOUT_FILENO) < 0)
        return error_errno(err, "cannot start stowage-save");
    execve(path, argv, environment);
    return error_errno(err, "cannot start stowage-save");
}

int save_program_exec(enum save_format format, int view, int file, const Stowage__V1__ContainerPlan *plan,
                      const char *failing, struct error *err) {
    char *environment[] = {"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", NULL};
    sigset_t none;
    sigemptyset(&none);
    if (fchdir(view) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || keep_reading_all() != 0 ||
        sigprocmask(SIG_SETMASK, &none, NULL) != 0)
        return error_errno(err, "cannot prepare to read the container's files");
    return format == SAVE_OCI ? exec_oci(file, plan, failing, environment, err)
                              : exec_squashfs(file, environment, err);
}

int save_program_explain(enum save_format format, int status, struct error *err) {
    const char *program = format == SAVE_OCI ? "stowage-save" : "mksquashfs";
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return error_set(err,
                         "%s was killed, most likely because the step ran out of memory; ask for more "
                         "with --mem",
                         program);
    if (WIFSIGNALED(status))
        return error_set(err, "%s was ended by signal %d (%s)", program, WTERMSIG(status),
                         strsignal(WTERMSIG(status)));
    return error_set(err, "%s failed (status %d); is there enough room?", program, WEXITSTATUS(status));
}
