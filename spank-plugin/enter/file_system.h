// File systems of the kernel's own, made anew for a step.
#pragma once

#include "error.h"

#include <stdint.h>

struct file_system_option {
    const char *name;
    const char *value;
};

// Makes a file system of that type, attached nowhere yet. `options` ends with a name of NULL; `attributes`
// are those of fsmount(2). Returns a descriptor of the mount, or -1 with errno set and *err filled.
int file_system_make(const char *type, const struct file_system_option *options, uint64_t attributes,
                     struct error *err);

// Attaches a mount that is attached nowhere. Returns -1 with errno set.
int file_system_attach(int mount, int target);
