// Scope-bound release of descriptors and memory, for C that returns early.
#pragma once

#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
}

static inline void cleanup_free_pointer(void *pointer) {
    free(*(void **)pointer);
}

// `cleanup_close int fd = …` closes fd when the scope ends, unless steal_fd() took it.
#define cleanup_close __attribute__((cleanup(cleanup_close_fd)))
#define cleanup_free __attribute__((cleanup(cleanup_free_pointer)))

static inline int steal_fd(int *fd) {
    int taken = *fd;
    *fd = -1;
    return taken;
}
