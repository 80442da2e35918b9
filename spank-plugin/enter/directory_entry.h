// Entries of a directory as readdir(3) gives them.
#pragma once

#include <stdbool.h>
#include <string.h>

static inline bool is_self_or_parent(const char *name) {
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}
