// Running stowage-enter when a job starts on a node and when it has ended there, as the job's user.
#pragma once

#include "error.h"
#include "pull_policy.h"
#include "settings.h"

#include <stdint.h>
#include <sys/types.h>

// Starts `stowage-enter --prefetch` as uid and gid, in a session of its own, and leaves it to itself as soon
// as it says that job_helper_sweep() would find it. One that has not said so after a second ends itself when
// it gets that far. Needs root.
int job_helper_prefetch(const struct settings *settings, const char *image, enum pull_policy pull,
                        uint32_t job_id, uid_t uid, gid_t gid, struct error *err);

// Runs `stowage-enter --sweep` as uid and gid, to end a prefetch of the job and to remove trees that nothing
// uses any more. Needs root. Waits at most ten seconds; a longer removal goes on in the background.
int job_helper_sweep(const struct settings *settings, uint32_t job_id, uid_t uid, gid_t gid,
                     struct error *err);
