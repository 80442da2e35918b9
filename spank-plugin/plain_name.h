// Names that become those of files: of containers and of environments.
#pragma once

#include <stdbool.h>
#include <stddef.h>

// Whether so much of `text` is 1 to `max` letters, digits, '.', '_' and '-', with neither '.' nor '-' in
// front.
bool is_plain_name(const char *text, size_t length, size_t max);
