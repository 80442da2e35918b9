// How a rank enters the container of its step.
#pragma once

#include "error.h"

#include <sys/types.h>

// Joins the user and mount namespace of `holder`, a process of the same user, in one call (setns(2) with a
// pidfd, Linux 5.8), sets no_new_privs and changes to `working_directory`. The caller must have one thread.
// *pidfd receives a descriptor of the holder, to be closed by the caller.
int join_container(pid_t holder, const char *working_directory, int *pidfd, struct error *err);
