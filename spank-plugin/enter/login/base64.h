// Base64 of RFC 4648, section 4.
#pragma once

#include <stddef.h>
#include <sys/types.h>

// Room for what `length` bytes become, the NUL included.
#define BASE64_SIZE(length) (((length) + 2) / 3 * 4 + 1)

void base64_encode(const void *bytes, size_t length, char *text);

// Writes at most length / 4 * 3 + 3 bytes. Padding may be missing. Returns their number, or -1 if it is no
// base64.
ssize_t base64_decode(const char *text, size_t length, char *bytes);
