// The process that keeps a step's namespaces alive between the end of stowage-enter and the last rank's
// joining; those of a container with a name as long as the step lasts.
#pragma once

#include "error.h"

#include <sys/types.h>

// Forks the holder. It holds no descriptor of the job, minds no signal but SIGKILL, and ends when it is
// killed by the last rank to join, or when the process behind `lifeline`, a pidfd, ends. With a descriptor
// `running`, which may be -1, it has the lock of running_lock.h.
int holder_start(int lifeline, int running, pid_t *holder, struct error *err);
