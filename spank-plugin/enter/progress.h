// Lines for a user who waits. Nothing is printed in the first two seconds, then at most one line in five.
#pragma once

#include <stdint.h>
#include <time.h>

struct progress {
    // Whom the lines speak of: the node and the image as the user wrote it.
    const char *node;
    const char *image;
    // CLOCK_MONOTONIC, seconds.
    time_t next;
};

void progress_start(struct progress *progress, const char *node, const char *image);

// "downloading <image>: 45 of 120 MB"; total_bytes may be 0 when it is not known.
void progress_bytes(struct progress *progress, const char *doing, uint64_t done_bytes, uint64_t total_bytes);

// Why it takes so long, as often as other lines.
void progress_note(struct progress *progress, const char *sentence);

// A remark that must not be missed, at once.
void progress_say(struct progress *progress, const char *sentence);

// "<reference> is <digest>", at once. A directory has no digest, and may have no other name than the user's.
void progress_say_digest(struct progress *progress, const char *reference, const char *digest);
