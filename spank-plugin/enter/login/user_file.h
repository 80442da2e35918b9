// Small files in which users keep what is nobody else's business.
#pragma once

#include "error.h"

#include <stdbool.h>
#include <stddef.h>

enum { USER_FILE_MAX = 1 << 20, USER_FILE_MISSING = 1 };

struct user_file {
    // Followed by a NUL; to be released with wiped_free().
    char *content;
    size_t length;
    // Its mode lets everybody on the machine read it.
    bool is_open_to_all;
};

// Reads a regular file of at most USER_FILE_MAX bytes. Returns 0, USER_FILE_MISSING, or -1 with the reason as
// a clause that follows the file's name: "cannot be read: Permission denied".
int user_file_read(const char *path, struct user_file *file, struct error *problem);
