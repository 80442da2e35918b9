// Absolute paths as text, without "." and "..".
#pragma once

#include <stdbool.h>
#include <string.h>

static inline bool is_at_or_below(const char *path, const char *ancestor) {
    size_t length = strlen(ancestor);
    return strncmp(path, ancestor, length) == 0 && (path[length] == '/' || path[length] == '\0');
}
