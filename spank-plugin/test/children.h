// Running the same function in many processes at once, with a deadline.
#pragma once

#include "scratch.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

enum { CHILDREN_MAX = 64 };

// Memory that the children share with the test, zeroed.
static inline void *shared_memory(size_t size) {
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(memory != MAP_FAILED, "mmap");
    return memory;
}

// Runs `work` in `count` processes. Returns how many were still running after `seconds`; those are killed.
static inline unsigned run_children(unsigned count, unsigned seconds, void (*work)(unsigned number)) {
    pid_t pids[CHILDREN_MAX];
    for (unsigned i = 0; i < count; i++) {
        pids[i] = fork();
        must(pids[i] >= 0, "fork");
        if (pids[i] == 0) {
            work(i);
            _exit(0);
        }
    }
    unsigned running = count;
    for (unsigned round = 0; running > 0 && round < seconds * 100; round++) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            running--;
        nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
    }
    for (unsigned i = 0; running > 0 && i < count; i++)
        kill(pids[i], SIGKILL);
    while (waitpid(-1, NULL, 0) > 0)
        ;
    return running;
}
