// What a process of slurmd must shed before it becomes a program of the user's that outlives a prolog or an
// epilog.
#pragma once

#include <stdnoreturn.h>
#include <sys/types.h>

// Not the status of any program that was executed.
enum { EXIT_NOT_EXECUTED = 127 };

struct detached_program {
    const char *path;
    char *const *argv;
    char *const *environment;
    uid_t uid;
    gid_t gid;
    // Stays open as `kept_as`; everything else is closed, and the standard descriptors lead nowhere.
    int kept;
    int kept_as;
};

// Executes the program as that user in a session of its own, without slurmd's working directory, signal mask,
// ignored signals, descriptors, and protection from the out-of-memory killer. Call in a process of one thread
// that leads no process group; it ends with EXIT_NOT_EXECUTED if anything of that fails.
noreturn void detached_exec(const struct detached_program *program);
