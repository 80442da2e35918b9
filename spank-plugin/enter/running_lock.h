// Whether a container runs, and which process lives in it: each of its holders has a shared lock of fcntl(2)
// on one file. Such a lock names its owner, ends with it, and outlives no process.
#pragma once

#include <sys/types.h>

// Takes the lock for this process. It must close no other descriptor of the same file from then on.
int running_lock_take(int fd);

// Some process that has the lock, or 0.
pid_t running_lock_owner(int fd);

// The same as a pidfd, which cannot come to mean another process; -1 if there is none.
int running_lock_open_owner(int fd, pid_t *owner);
