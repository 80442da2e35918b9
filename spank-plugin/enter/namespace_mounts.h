// File systems that show a namespace: of the host's, a container would see those of the host's namespaces.
#pragma once

#include "error.h"
#include "progress.h"
#include "step.h"

// Below `root`, which shows the host's /sys and /dev: a sysfs of the step's network namespace, and of its IPC
// namespace /dev/mqueue and an empty /dev/shm. A kernel that does not let users mount a sysfs is worth a
// remark, no failure.
int namespace_mounts_make(int root, const struct step_entry *entry, struct progress *progress,
                          struct error *err);
