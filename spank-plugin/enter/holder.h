// The process that keeps a step's namespaces alive between the end of stowage-enter and the last rank's
// joining.
#pragma once

#include "error.h"

#include <sys/types.h>

// Forks the holder. It holds no descriptor of the job and ends when it is killed by the last rank to join, or
// when the process behind `lifeline`, a pidfd, ends.
int holder_start(int lifeline, pid_t *holder, struct error *err);
