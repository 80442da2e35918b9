// Texts for a function that checks one, good and bad.
#pragma once

#include "error.h"
#include "tap.h"

#include <stddef.h>

struct bad_case {
    const char *text;
    const char *reason;
};

typedef int checker(const char *text, struct error *err);

static inline void accepts(checker *check, const char *const *texts, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct error err = {.text = ""};
        if (!ok(check(texts[i], &err) == 0, "takes %.80s", texts[i]))
            printf("# %s\n", err.text);
    }
}

static inline void refuses(checker *check, const struct bad_case *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct error err = {.text = ""};
        if (ok(check(cases[i].text, &err) == -1, "refuses '%.80s'", cases[i].text))
            says(err.text, cases[i].reason, "and says why");
    }
}

#define ACCEPTS(check, texts) accepts(check, texts, sizeof(texts) / sizeof *(texts))
#define REFUSES(check, cases) refuses(check, cases, sizeof(cases) / sizeof *(cases))
