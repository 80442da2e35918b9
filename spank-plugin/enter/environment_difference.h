// What a program changed in the environment that it was started with.
#pragma once

#include "environment.h"

// As environment_set(), within what a program can be started with: at most 4096 variables of 128 KiB.
int environment_add_variable(struct environment *environment, const char *name, size_t name_length,
                             const char *value, struct error *err);

// Adds what is set, changed or missing in `after`, entries one behind the other, each with its NUL, compared
// with `before`, NULL-terminated; without what every shell sets for itself.
int environment_add_difference(struct environment *environment, char *const *before, const char *after,
                               size_t after_bytes, struct error *err);
