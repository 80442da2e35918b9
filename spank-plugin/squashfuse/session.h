// The conversation with the kernel over /dev/fuse (fuse(4)).
#pragma once

#include "error.h"
#include "image.h"

// Agrees with the kernel on how to speak. `device` is mounted already.
int session_begin(int device, struct error *err);

struct session;

// All that answering takes, for `threads` threads. NULL and *err on failure.
struct session *session_prepare(int device, const struct image *image, unsigned threads, struct error *err);

// Answers requests until the file system is mounted nowhere any more, and then ends the process.
_Noreturn void session_run(struct session *session);
