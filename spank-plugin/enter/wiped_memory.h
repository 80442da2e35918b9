// Memory that may hold a password: overwritten before it is given back, so that neither a later allocation
// nor a core dump finds it there.
#pragma once

#include <stddef.h>

// free(3) and realloc(3) for what malloc(3) gave. A realloc that fails leaves the old memory as it was.
void wiped_free(void *memory);
void *wiped_realloc(void *memory, size_t size);

static inline void cleanup_wiped_pointer(void *pointer) {
    wiped_free(*(void **)pointer);
}

#define cleanup_wiped __attribute__((cleanup(cleanup_wiped_pointer)))
