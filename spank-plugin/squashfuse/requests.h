// What the kernel asks of a file system (fuse(4)) and our answers. The image never changes: what the kernel
// was told once holds for ever.
#pragma once

#include "image.h"

#include <linux/fuse.h>

// More than one read may ask for, and the header of the answer.
enum { ANSWER_MAX = 1 << 20 };

// One thread, and the answer it is making.
struct worker {
    struct reader reader;
    uint8_t *answer;
};

// No answer is wanted.
enum { NO_ANSWER = -100000 };

// Answers the request of `opcode` on inode `node`, whose arguments are `size` bytes at `arguments`. Returns
// how many bytes of worker->answer are the answer, a negative errno, or NO_ANSWER.
ssize_t answer_request(struct worker *worker, uint32_t opcode, uint64_t node, const void *arguments,
                       size_t size);
