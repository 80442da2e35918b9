// What stowage-report writes (../report/main.c): the number of bytes that follow, 32 bits; the working
// directory; the environment. All strings with their NUL.
#pragma once

#include "error.h"

#include <stdbool.h>
#include <stddef.h>

struct entrypoint_report {
    bool complete;
    const char *directory;
    const char *variables;
    size_t variables_bytes;
    // What the pointers lead into.
    char *text;
    size_t received;
};

// Listens on `from`, non-blocking, until `process`, a pidfd, ends. Returns 1 then, 0 after that many seconds,
// -1 if what comes is not a report.
int entrypoint_report_receive(struct entrypoint_report *report, int from, int process, int seconds,
                              struct error *err);

void entrypoint_report_release(struct entrypoint_report *report);
