// A command line that is put together piece by piece.
#pragma once

#include "error.h"

#include <stdbool.h>

struct arguments {
    // NULL-terminated, for execv(3).
    char **values;
    size_t count;
    bool incomplete;
};

// Appends one argument. A failure is remembered for arguments_check().
void arguments_add(struct arguments *arguments, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// Fails unless all that was added is there.
int arguments_check(const struct arguments *arguments, struct error *err);

void arguments_release(struct arguments *arguments);
