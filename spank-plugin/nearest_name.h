// What somebody who mistyped a word probably meant.
#pragma once

#include <stddef.h>

// The known name that is nearest to `name`, or NULL if none is near.
const char *nearest_name(const char *name, const char *const *known, size_t count);
