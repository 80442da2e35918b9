// Descriptors that other processes of the user can open by a path in /proc, whatever closes those that they
// inherit.
#pragma once

#include "error.h"

#include <sys/types.h>

enum { KEPT_PATH_MAX = 48 };

struct descriptor_keeper {
    pid_t pid;
};

// Starts a process that has this one's descriptors, and no capabilities: a process may look into those only
// that can do no more than itself (ptrace(2), "Ptrace access mode checking").
int descriptor_keeper_start(struct descriptor_keeper *keeper, struct error *err);

void descriptor_keeper_path(const struct descriptor_keeper *keeper, int fd, char path[KEPT_PATH_MAX]);

void descriptor_keeper_end(struct descriptor_keeper *keeper);
