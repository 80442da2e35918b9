// The files of an OCI layout or a docker archive: members of an archive, or files below a directory. Whoever
// made the image chose their names, so none leads out of it, and none but a regular file is opened for
// reading.
#pragma once

#include "error.h"
#include "identity.h"

#include <stdint.h>

// Where a file's bytes are.
struct file_range {
    int fd;
    uint64_t offset_bytes;
    uint64_t size_bytes;
};

struct layout_files {
    // The directory, or the archive.
    int fd;
    // Of the archive; NULL for a directory.
    const struct identity *archive;
};

// Finds the file. The caller closes range->fd, which reads nowhere but in this image. Fails with the reason
// to follow the name in a sentence: "is missing".
int layout_files_find(const struct layout_files *files, const char *name, struct file_range *range,
                      struct error *problem);

// Reads the whole file, which must not be larger than max_bytes. The caller frees *content.
int layout_files_read(const struct layout_files *files, const char *name, uint64_t max_bytes,
                      uint8_t **content, size_t *length, struct error *problem);
