// One unpacking by stowage-unpack: layers or a root file system in, a tree out.
#pragma once

#include "error.h"
#include "layer_sources.h"
#include "progress.h"
#include "unpack_program.h"

#include <stdbool.h>
#include <stowage/v1/image.pb-c.h>

// What is to be unpacked: either layers or one file with a root file system in it.
struct unpacking {
    Stowage__V1__Layer *const *layers;
    const struct layer_sources *sources;
    // The layers' files grow while they are unpacked.
    bool growing;
    // A root file system of this size and digest, or -1.
    int file;
    uint64_t file_bytes;
    const char *file_digest;
    // Of a squashfs file, the image itself is wanted, as it is.
    bool keep_squashfs;
    // NULL if stowaged sent none.
    const Stowage__V1__Budget *budget;
};

struct unpacker {
    struct unpack_program program;
    // Cumulative sizes of the layers below, for the line of progress; the last is that of all.
    uint64_t *below_bytes;
    size_t layer_count;
};

// One that was never started.
#define UNPACKER_NONE                                                                                        \
    { .program = UNPACK_PROGRAM_NONE }

// Starts to unpack into the empty directory `root`. After success the caller must call unpacker_end().
int unpacker_start(struct unpacker *unpacker, int root, const struct unpacking *unpacking, struct error *err);

// Waits for the end, with lines of progress. Fails with the program's own sentence, or with what ended it;
// `root` is then half filled.
int unpacker_finish(struct unpacker *unpacker, struct progress *progress, struct error *err);

// Hands on what the program remarked although it succeeded, such as devices that were left out.
void unpacker_remark(const struct unpacker *unpacker, struct progress *progress);

// Whether what unpack_program_wait() says is that the bytes of a layer are wrong, which whoever downloaded
// them can explain better.
bool unpacker_doubts_bytes(const struct error *failure);

// Releases everything; kills the program if it runs.
void unpacker_end(struct unpacker *unpacker);
