// Ranks that are root in an image without being able to be anybody else. See docs/decisions/0021.
#pragma once

#include "error.h"

#include <linux/filter.h>
#include <stddef.h>

enum { ROOT_EMULATION_MAX = 256 };

// From now on, in this process and all that it becomes or starts, calls that give files another owner, that
// make devices, or that change the process's users, groups or capabilities do nothing and succeed. Needs
// no_new_privs. Fails on processors whose calls are not known.
int root_emulation_start(struct error *err);

// The filter, seccomp(2), for all architectures that are known. Returns the number of instructions.
size_t root_emulation_filter(struct sock_filter filter[ROOT_EMULATION_MAX]);
