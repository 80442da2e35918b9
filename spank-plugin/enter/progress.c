#include "progress.h"
#include "error.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

enum { QUIET_SECONDS = 2, INTERVAL_SECONDS = 5 };

static time_t now_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static bool is_due(struct progress *progress) {
    time_t now = now_seconds();
    if (now < progress->next)
        return false;
    progress->next = now + INTERVAL_SECONDS;
    return true;
}

void progress_start(struct progress *progress, const char *node, const char *image) {
    *progress = (struct progress){.node = node, .image = image, .next = now_seconds() + QUIET_SECONDS};
}

void progress_bytes(struct progress *progress, const char *doing, uint64_t done_bytes, uint64_t total_bytes) {
    static const uint64_t MB = 1000 * 1000;
    if (!is_due(progress))
        return;
    if (total_bytes == 0)
        fprintf(stderr, "stowage: %s: %s %s\n", progress->node, doing, progress->image);
    else
        fprintf(stderr, "stowage: %s: %s %s: %" PRIu64 " of %" PRIu64 " MB\n", progress->node, doing,
                progress->image, done_bytes / MB, (total_bytes + MB - 1) / MB);
}

void progress_say(struct progress *progress, const char *sentence) {
    // Through struct error, which takes the control characters out of what an image may have put in.
    struct error line;
    error_set(&line, "stowage: %s: %s: %s", progress->node, progress->image, sentence);
    fprintf(stderr, "%s\n", line.text);
}

void progress_say_digest(struct progress *progress, const char *reference, const char *digest) {
    struct error line;
    error_set(&line, "stowage: %s: %s is %s", progress->node, reference[0] ? reference : progress->image,
              digest[0] ? digest : "a directory, which has no digest");
    fprintf(stderr, "%s\n", line.text);
}

void progress_note(struct progress *progress, const char *sentence) {
    if (is_due(progress))
        progress_say(progress, sentence);
}
