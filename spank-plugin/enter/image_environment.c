#include "image_environment.h"
#include "cleanup.h"
#include "environment_difference.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum {
    TEXT_MAX = 1 << 20,
    DEADLINE_MS = 10 * 1000,
    REPORT_FD = 3,
};

static const char SCRIPTS[] = "/.singularity.d/env";

// The first shell takes the scripts in; the second is there to have what they exported as its environment,
// where /proc shows it, and waits until somebody has looked.
static const char EVALUATE[] = "for stowage_script in /.singularity.d/env/*.sh; do\n"
                               "    if [ -f \"$stowage_script\" ]; then . \"$stowage_script\"; fi\n"
                               "done\n"
                               "unset stowage_script\n"
                               "exec /bin/sh -c 'echo >&3; read -r line <&3'\n";

int host_files_open(struct host_files *files, struct error *err) {
    cleanup_close int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    cleanup_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (proc < 0 || null < 0)
        return error_errno(err, "cannot open /proc and /dev/null");
    files->proc = steal_fd(&proc);
    files->null = steal_fd(&null);
    return 0;
}

void host_files_close(struct host_files *files) {
    close(files->proc);
    close(files->null);
}

// Reads to the end, or as much as fits; a NUL follows. Returns the length, or -1.
static ssize_t read_text(int fd, char *text) {
    size_t used = 0;
    while (used < TEXT_MAX) {
        ssize_t got = read(fd, text + used, TEXT_MAX - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        used += (size_t)got;
    }
    text[used] = '\0';
    return (ssize_t)used;
}

static bool is_name(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        bool letter = (text[i] | 0x20) >= 'a' && (text[i] | 0x20) <= 'z';
        bool digit = text[i] >= '0' && text[i] <= '9';
        if (!letter && text[i] != '_' && !(digit && i > 0))
            return false;
    }
    return length > 0;
}

static int add_line(struct environment *environment, char *line, bool quoted, struct error *err) {
    char *equals = strchr(line, '=');
    if (!equals || !is_name(line, (size_t)(equals - line)))
        return 0;
    char *value = equals + 1;
    size_t length = strlen(value);
    if (quoted && length >= 2 && value[0] == '\'' && value[length - 1] == '\'') {
        value[length - 1] = '\0';
        value++;
    }
    return environment_add_variable(environment, line, (size_t)(equals - line), value, err);
}

static int add_lines(struct environment *environment, char *text, bool quoted, struct error *err) {
    struct environment changed = {0};
    int result = 0;
    for (char *line; result == 0 && (line = strsep(&text, "\n"));)
        result = add_line(&changed, line, quoted, err);
    if (result == 0)
        result = environment_merge(environment, &changed, err);
    environment_release(&changed);
    return result;
}

static void remark(struct progress *progress, const char *what, const struct error *why) {
    struct error sentence;
    error_set(&sentence, "the image's environment in %s is left out: %s", what, why->text);
    progress_say(progress, sentence.text);
}

static void add_file(struct environment *environment, const char *path, bool quoted,
                     struct progress *progress) {
    struct error err;
    struct stat info;
    cleanup_close int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return;
    cleanup_free char *text = malloc(TEXT_MAX + 1);
    if (fd < 0 || fstat(fd, &info) != 0 || !text || (S_ISREG(info.st_mode) && read_text(fd, text) < 0)) {
        error_errno(&err, "cannot read it");
        remark(progress, path, &err);
        return;
    }
    if (!S_ISREG(info.st_mode))
        return;
    if (add_lines(environment, text, quoted, &err) != 0)
        remark(progress, path, &err);
}

static void exec_scripts(char **variables, const struct host_files *files, int report) {
    char *argv[] = {"sh", "-c", (char *)EVALUATE, NULL};
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    // Out of the way first: one of them may have the number that another is to get.
    int null = fcntl(files->null, F_DUPFD, REPORT_FD + 1);
    report = fcntl(report, F_DUPFD, REPORT_FD + 1);
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (dup2(null, fd) < 0)
            _exit(127);
    }
    if (dup2(report, REPORT_FD) < 0 || close_range(REPORT_FD + 1, ~0U, 0) != 0)
        _exit(127);
    execve("/bin/sh", argv, variables);
    _exit(127);
}

// Waits for the second shell and reads its environment.
static ssize_t read_result(pid_t pid, int report, const struct host_files *files, char *text,
                           struct error *err) {
    struct pollfd ready = {.fd = report, .events = POLLIN};
    int count;
    do
        count = poll(&ready, 1, DEADLINE_MS);
    while (count < 0 && errno == EINTR);
    char byte;
    if (count == 0)
        return error_set(err, "its scripts have not ended after %d seconds", DEADLINE_MS / 1000);
    if (read(report, &byte, 1) != 1)
        return error_set(err, "its scripts failed, or it has no /bin/sh");
    char path[32];
    snprintf(path, sizeof path, "%d/environ", (int)pid);
    cleanup_close int fd = openat(files->proc, path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read_text(fd, text);
    if (length < 0)
        return error_errno(err, "cannot read it");
    if (length == TEXT_MAX)
        return error_set(err, "it is larger than %d bytes", TEXT_MAX);
    return length;
}

// In a PID namespace of its own, with which everything that the scripts started ends.
static ssize_t evaluate(char **variables, const struct host_files *files, char *text, struct error *err) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return error_errno(err, "cannot make a socket");
    cleanup_close int ours = ends[0];
    cleanup_close int theirs = ends[1];
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid < 0)
        return error_errno(err, "cannot start a shell");
    if (pid == 0)
        exec_scripts(variables, files, theirs);
    close(steal_fd(&theirs));
    ssize_t length = read_result(pid, ours, files, text, err);
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return length;
}

static void add_scripts(struct environment *environment, const struct host_files *files,
                        struct progress *progress) {
    struct error err;
    struct stat info;
    if (stat(SCRIPTS, &info) != 0 || !S_ISDIR(info.st_mode))
        return;
    cleanup_free char *after = malloc(TEXT_MAX + 1);
    // Entries may be freed as others take their place, so the difference is taken from copies.
    struct environment changed = {0};
    cleanup_free char **before = environment_apply(environment, environ, &err);
    ssize_t length = -1;
    if (before && after)
        length = evaluate(before, files, after, &err);
    else if (before)
        error_errno(&err, "cannot hold it");
    if (length < 0 || environment_add_difference(&changed, before, after, (size_t)length, &err) != 0 ||
        environment_merge(environment, &changed, &err) != 0)
        remark(progress, SCRIPTS, &err);
    environment_release(&changed);
}

void image_environment_add(struct environment *environment, const struct host_files *files, bool is_squashfs,
                           struct progress *progress) {
    struct stat info;
    if (is_squashfs && stat("/etc/rc", &info) == 0)
        add_file(environment, "/etc/environment", false, progress);
    add_file(environment, "/ch/environment", true, progress);
    add_scripts(environment, files, progress);
}
