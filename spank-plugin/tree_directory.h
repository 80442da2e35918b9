// The one thing Stowage does as root: giving the job's user a directory of their own for unpacked images.
#pragma once

#include "error.h"

#include <sys/types.h>

// Makes `<trees>/<uid>` with mode 0700, owned by uid and gid, unless it is there. `trees` must belong to root
// and be writable by root alone, so that nobody can put something else in the way. Needs root.
int tree_directory_make(const char *trees, uid_t uid, gid_t gid, struct error *err);

// Reads the owner of `<trees>/<uid>` back. Returns 1 with *gid set if the directory is there, 0 if the user
// has none, -1 on failure.
int tree_directory_find(const char *trees, uid_t uid, gid_t *gid, struct error *err);
