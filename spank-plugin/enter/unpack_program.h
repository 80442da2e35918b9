// stowage-unpack as a child of this process, and what it says.
#pragma once

#include "error.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

// What the child writes to: lines of progress, its sentence on standard error, records on standard output.
enum { UNPACK_PROGRESS, UNPACK_WORDS, UNPACK_RECORDS, UNPACK_STREAMS };

// Longest output that is taken, in bytes.
enum { UNPACK_RECORDS_MAX = 8 << 20 };

struct unpack_program {
    pid_t pid;
    // The reading ends; -1 at the end of the stream, or where nothing is listened to.
    int streams[UNPACK_STREAMS];
    // The end that the child writes progress to; for its command line. Closed here once it runs.
    int progress_in;
    char line[256];
    size_t line_length;
    char words[ERROR_TEXT_MAX];
    size_t words_length;
    char *records;
    size_t records_length;
    bool too_many_records;
    // Numbers of the last line of progress, "<layer> <bytes done> <bytes total>"; the size of all is 0
    // before.
    uint64_t layer, done_bytes, total_bytes;
};

// One that was never opened.
#define UNPACK_PROGRAM_NONE                                                                                  \
    { .streams = {-1, -1, -1}, .progress_in = -1 }

// Makes the pipes. What follows must end in unpack_program_end().
int unpack_program_open(struct unpack_program *program, struct error *err);

// Starts the program, which is looked up beside this one, with `argv` and with `kept`, descriptors that stay
// open in it under their numbers. It dies with this process.
int unpack_program_start(struct unpack_program *program, char **argv, const int *kept, size_t count,
                         struct error *err);

// What poll(2) has to watch while the program runs.
void unpack_program_watch(const struct unpack_program *program, struct pollfd watched[UNPACK_STREAMS]);

// Takes in what has come. False once the program has closed all streams, as it does when it ends.
bool unpack_program_listen(struct unpack_program *program, const struct pollfd watched[UNPACK_STREAMS]);

// Waits for the end of a program that has closed its streams. Fails with its own sentence, or with what ended
// it; *refused then tells whether it was the image that it did not take. On success `words` may hold remarks.
int unpack_program_wait(struct unpack_program *program, bool *refused, struct error *err);

// Releases everything; kills the program if it runs.
void unpack_program_end(struct unpack_program *program);
