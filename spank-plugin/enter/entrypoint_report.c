#include "entrypoint_report.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { REPORT_MAX_BYTES = 1 << 20 };

static int parse(struct entrypoint_report *report, struct error *err) {
    uint32_t bytes = 0;
    if (report->received < sizeof bytes)
        return 0;
    memcpy(&bytes, report->text, sizeof bytes);
    if (bytes > REPORT_MAX_BYTES - sizeof bytes)
        return error_set(err, "left an environment that is larger than %d bytes", REPORT_MAX_BYTES);
    if (report->received < sizeof bytes + bytes)
        return 0;
    const char *directory = report->text + sizeof bytes;
    size_t length = strnlen(directory, bytes);
    if (length == bytes || directory[bytes - 1] != '\0')
        return error_set(err, "was given to something else than its command");
    report->directory = directory;
    report->variables = directory + length + 1;
    report->variables_bytes = bytes - length - 1;
    report->complete = true;
    return 0;
}

// Takes what there is. An entrypoint that executes its command twice is believed the first time.
static int take(struct entrypoint_report *report, int from, struct error *err) {
    char rest[4096];
    for (;;) {
        bool full = report->complete || report->received == REPORT_MAX_BYTES;
        char *to = full ? rest : report->text + report->received;
        ssize_t got = read(from, to, full ? sizeof rest : REPORT_MAX_BYTES - report->received);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 && errno != EAGAIN ? error_errno(err, "cannot be listened to") : 0;
        if (full)
            continue;
        report->received += (size_t)got;
        if (parse(report, err) != 0)
            return -1;
    }
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int entrypoint_report_receive(struct entrypoint_report *report, int from, int process, int seconds,
                              struct error *err) {
    report->text = malloc(REPORT_MAX_BYTES);
    if (!report->text)
        return error_errno(err, "cannot be listened to");
    int64_t deadline = now_ms() + (int64_t)seconds * 1000;
    struct pollfd watched[] = {{.fd = process, .events = POLLIN}, {.fd = from, .events = POLLIN}};
    while (watched[0].revents == 0) {
        int64_t left = deadline - now_ms();
        int ready = left > 0 ? poll(watched, 2, (int)left) : 0;
        if (ready < 0 && errno != EINTR)
            return error_errno(err, "cannot be waited for");
        if (ready == 0)
            return 0;
        // What was written before the end is there once the end is known.
        if (take(report, from, err) != 0)
            return -1;
    }
    return 1;
}

void entrypoint_report_release(struct entrypoint_report *report) {
    free(report->text);
    *report = (struct entrypoint_report){0};
}
