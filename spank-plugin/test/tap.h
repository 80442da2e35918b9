// Test Anything Protocol (https://testanything.org), as much as these tests need. Each program tests one
// module, prints one line per claim, and ends with `return tap_done();`.
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static unsigned tap_claims, tap_failures;

// Children of a test leave with _exit(): lines must not wait in a buffer that fork() copies.
__attribute__((constructor)) static void tap_unbuffer(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
}

__attribute__((format(printf, 2, 3))) static inline bool ok(bool holds, const char *claim, ...) {
    va_list args;
    va_start(args, claim);
    printf("%sok %u - ", holds ? "" : "not ", ++tap_claims);
    vprintf(claim, args);
    printf("\n");
    va_end(args);
    tap_failures += !holds;
    return holds;
}

// Claims that `text` contains `part`.
static inline void says(const char *text, const char *part, const char *claim) {
    if (!ok(strstr(text, part) != NULL, "%s", claim))
        printf("# got: %s\n# which lacks: %s\n", text, part);
}

static inline void is_text(const char *got, const char *wanted, const char *claim) {
    if (!ok(strcmp(got, wanted) == 0, "%s", claim))
        printf("# got: %s\n# not: %s\n", got, wanted);
}

static inline void skip(const char *why, const char *claim) {
    printf("ok %u - %s # SKIP %s\n", ++tap_claims, claim, why);
}

static inline int tap_done(void) {
    printf("1..%u\n", tap_claims);
    return tap_failures > 0;
}
