// --image-save=PATH: where the container goes when the step's last rank has ended.
#pragma once

#include "error.h"

#include <limits.h>
#include <stdbool.h>

enum save_format {
    SAVE_SQUASHFS,
    // A layout in a tar archive.
    SAVE_OCI,
};

struct save_target {
    enum save_format format;
    // Absolute.
    char path[PATH_MAX];
    const char *name;
    int directory;
    // The new file, which has no name yet, or where file systems cannot do that, one of ours.
    int file;
    bool has_name;
    char half[NAME_MAX + 1];
};

// Finds out, as the user, whether the file can be written, and begins it. Call before the step starts, while
// the host's file systems are in sight. A relative path starts at `base`.
int save_target_open(struct save_target *target, const char *path, const char *base, struct error *err);

// Puts the new file in the place of whatever file is there, atomically.
int save_target_publish(struct save_target *target, struct error *err);

// Leaves what is there as it is.
void save_target_abandon(struct save_target *target);
