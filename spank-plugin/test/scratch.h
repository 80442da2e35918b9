// A directory of the test's own, and what tests put into it. Failing to set up is the end of the test.
#pragma once

#include "cleanup.h"
#include "error.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static inline void must(bool done, const char *what) {
    if (!done) {
        perror(what);
        _exit(99);
    }
}

enum { ORDINARY_UID = 65432, ORDINARY_GID = 65433 };

// Gives up root for good, before anything is tried that a defect could turn against the machine's own files.
// Modes mean something only for an ordinary user, too.
static inline void become_ordinary(void) {
    if (geteuid() != 0)
        return;
    must(setgroups(0, NULL) == 0, "setgroups");
    must(setresgid(ORDINARY_GID, ORDINARY_GID, ORDINARY_GID) == 0, "setresgid");
    must(setresuid(ORDINARY_UID, ORDINARY_UID, ORDINARY_UID) == 0, "setresuid");
}

// Makes the directory and returns a descriptor of it; `path` receives its name.
static inline int scratch_make(char path[PATH_MAX]) {
    const char *parent = getenv("TMPDIR");
    snprintf(path, PATH_MAX, "%s/stowage-test-XXXXXX", parent ? parent : "/tmp");
    must(mkdtemp(path) != NULL, path);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(fd >= 0, path);
    return fd;
}

// rm(1) rather than our own remove_tree(), which is under test. It needs leave to enter first.
static inline void scratch_remove(const char *path) {
    char command[2 * PATH_MAX + 64];
    snprintf(command, sizeof command, "chmod -R u+rwx '%s' && rm -rf '%s'", path, path);
    must(system(command) == 0, command);
}

static inline void make_file(int at, const char *name, const char *content, mode_t mode) {
    cleanup_close int fd = openat(at, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    must(fd >= 0 && write(fd, content, strlen(content)) == (ssize_t)strlen(content), name);
    must(fchmod(fd, mode) == 0, name);
}

static inline void make_directory(int at, const char *name, mode_t mode) {
    must(mkdirat(at, name, mode) == 0 && fchmodat(at, name, mode, 0) == 0, name);
}

static inline bool exists(int at, const char *name) {
    struct stat info;
    return fstatat(at, name, &info, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline bool file_holds(int at, const char *name, const char *wanted) {
    char content[8192] = "";
    cleanup_close int fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 && read(fd, content, sizeof content - 1) >= 0 && strcmp(content, wanted) == 0;
}

static inline bool same_file(int fd, int at, const char *name) {
    struct stat one, other;
    return fstat(fd, &one) == 0 && fstatat(at, name, &other, 0) == 0 && one.st_ino == other.st_ino &&
           one.st_dev == other.st_dev;
}
