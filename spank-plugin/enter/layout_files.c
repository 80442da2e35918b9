#include "layout_files.h"
#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

// An automounter or a busy file system asks to try again (openat2(2)).
enum { ATTEMPTS_MAX = 10 };

static int open_beneath(int directory, const char *name) {
    struct open_how how = {.flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    int fd;
    int attempts = 0;
    do
        fd = (int)syscall(SYS_openat2, directory, name, &how, sizeof how);
    while (fd < 0 && errno == EAGAIN && ++attempts < ATTEMPTS_MAX);
    return fd;
}

static int explain(struct error *problem) {
    if (errno == ENOENT || errno == ENOTDIR)
        return error_set(problem, "is missing");
    if (errno == ELOOP)
        return error_set(problem, "is a symbolic link or behind one, which is not followed; copy the image "
                                  "with its files");
    if (errno == EXDEV)
        return error_set(problem, "is not inside the image");
    if (errno == ENXIO)
        return error_set(problem, "is not a regular file");
    return error_errno(problem, "cannot be read");
}

static int find_in_directory(int directory, const char *name, struct file_range *range,
                             struct error *problem) {
    cleanup_close int fd = open_beneath(directory, name);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0)
        return explain(problem);
    if (!S_ISREG(info.st_mode))
        return error_set(problem, "is not a regular file");
    *range = (struct file_range){.fd = steal_fd(&fd), .size_bytes = (uint64_t)info.st_size};
    return 0;
}

static int find_in_archive(const struct layout_files *files, const char *name, struct file_range *range,
                           struct error *problem) {
    const struct archive_member *member = identity_member(files->archive, name);
    if (!member)
        return error_set(problem, "is missing");
    int fd = fcntl(files->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return error_errno(problem, "cannot be read");
    *range =
        (struct file_range){.fd = fd, .offset_bytes = member->offset_bytes, .size_bytes = member->size_bytes};
    return 0;
}

int layout_files_find(const struct layout_files *files, const char *name, struct file_range *range,
                      struct error *problem) {
    return files->archive ? find_in_archive(files, name, range, problem)
                          : find_in_directory(files->fd, name, range, problem);
}

int layout_files_read(const struct layout_files *files, const char *name, uint64_t max_bytes,
                      uint8_t **content, size_t *length, struct error *problem) {
    struct file_range range;
    if (layout_files_find(files, name, &range, problem) != 0)
        return -1;
    cleanup_close int fd = range.fd;
    if (range.size_bytes > max_bytes)
        return error_set(problem, "is larger than %" PRIu64 " bytes", max_bytes);
    cleanup_free uint8_t *bytes = malloc(range.size_bytes + 1);
    if (!bytes)
        return error_errno(problem, "cannot be held in memory");
    size_t used = 0;
    while (used < range.size_bytes) {
        ssize_t got = pread(fd, bytes + used, range.size_bytes - used, (off_t)(range.offset_bytes + used));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_errno(problem, "cannot be read");
        if (got == 0)
            return error_set(problem, "has become shorter while it was read");
        used += (size_t)got;
    }
    *content = bytes;
    *length = used;
    bytes = NULL;
    return 0;
}
