// Giving up root for good.
#pragma once

#include <sys/types.h>

// Makes the calling process one of the user: without slurmstepd's protection from the out-of-memory killer,
// without supplementary groups, with the ids real, effective and saved. Returns -1 if any of it failed; the
// process must end then.
int become_user(uid_t uid, gid_t gid);
