#include "image_file.h"

#include <errno.h>
#include <sqfs/error.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct image_file {
    sqfs_file_t base;
    int fd;
    sqfs_u64 size;
};

static int read_at(sqfs_file_t *base, sqfs_u64 offset, void *buffer, size_t size) {
    const struct image_file *file = (const struct image_file *)base;
    if (offset > file->size || size > file->size - offset)
        return SQFS_ERROR_OUT_OF_BOUNDS;
    while (size > 0) {
        ssize_t got = pread(file->fd, buffer, size, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return SQFS_ERROR_IO;
        if (got == 0)
            return SQFS_ERROR_OUT_OF_BOUNDS;
        buffer = (char *)buffer + got;
        offset += (sqfs_u64)got;
        size -= (size_t)got;
    }
    return 0;
}

static int write_at(sqfs_file_t *base, sqfs_u64 offset, const void *buffer, size_t size) {
    (void)base, (void)offset, (void)buffer, (void)size;
    return SQFS_ERROR_UNSUPPORTED;
}

static int truncate_to(sqfs_file_t *base, sqfs_u64 size) {
    (void)base, (void)size;
    return SQFS_ERROR_UNSUPPORTED;
}

static sqfs_u64 get_size(const sqfs_file_t *base) {
    return ((const struct image_file *)base)->size;
}

static void destroy(sqfs_object_t *base) {
    free(base);
}

sqfs_file_t *image_file_open(int fd, struct error *err) {
    struct stat info;
    if (fstat(fd, &info) != 0) {
        error_errno(err, "cannot look at the squashfs image");
        return NULL;
    }
    struct image_file *file = calloc(1, sizeof *file);
    if (!file) {
        error_errno(err, "cannot hold the squashfs image");
        return NULL;
    }
    *file = (struct image_file){
        .base = {.base = {.destroy = destroy},
                 .read_at = read_at,
                 .write_at = write_at,
                 .get_size = get_size,
                 .truncate = truncate_to},
        .fd = fd,
        .size = (sqfs_u64)info.st_size,
    };
    return &file->base;
}
