// `<trees>/<uid>/prefetch-<job>`, locked by the process that brings the job's image onto the node: whoever
// ends the job finds that process by the lock. It is one of fcntl(2), which names its holder, ends with it,
// and outlives no process.
#pragma once

#include "error.h"
#include "tree_store.h"

#include <stdint.h>

// Takes the lock. The descriptor must stay open; closing any other of the same file would give the lock up.
int prefetch_lock_take(const struct tree_store *store, uint32_t job_id, struct error *err);

// Removes the file, and with the descriptor the lock.
void prefetch_lock_release(const struct tree_store *store, uint32_t job_id, int lock);

// Ends the process that holds the lock of the job, if there is one, and removes the file.
void prefetch_end(const struct tree_store *store, uint32_t job_id);

// Whether an entry of the store is such a file.
bool prefetch_lock_is_name(const char *name);

// Removes a file whose lock nobody holds.
void prefetch_lock_sweep(const struct tree_store *store, const char *name);
