// A failure as one sentence for the user.
//
// Fallible functions return 0 or -1 and take a caller-owned `struct error *` as last argument. It is
// written only on failure; all other outputs are then untouched. Callers add what they were doing with
// error_wrap() as the failure travels up. Only the hooks of the plugin and main() of the helper print
// failures.
#pragma once

#include <stddef.h>

enum { ERROR_TEXT_MAX = 2048 };

struct error {
    char text[ERROR_TEXT_MAX];
};

// Sets the sentence. Returns -1, so that `return error_set(err, …)` reads well. Control characters in the
// formatted result are replaced by '?', those of UTF-8 included, because names of files and images come from
// strangers.
int error_set(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

// As error_set(), and appends ": " and the text of errno as it was on entry.
int error_errno(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Puts "<formatted>: " before the sentence that is there. Returns -1.
int error_wrap(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
