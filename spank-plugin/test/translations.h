// Texts for a function that rewrites one in our own terms, good and bad.
#pragma once

#include "error.h"
#include "tap.h"

#include <stdlib.h>

struct translation {
    const char *text;
    // NULL: nothing is asked for.
    const char *native;
};

struct untranslatable {
    const char *text;
    const char *reason;
};

typedef int translator(const char *text, char **native, struct error *err);

static inline void translates(translator *translate, const struct translation *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        char *native = NULL;
        struct error err = {.text = ""};
        char claim[200];
        snprintf(claim, sizeof claim, "knows what '%.80s' is", cases[i].text);
        if (!ok(translate(cases[i].text, &native, &err) == 0, "takes '%.80s'", cases[i].text))
            printf("# %s\n", err.text);
        is_text(native ? native : "(nothing)", cases[i].native ? cases[i].native : "(nothing)", claim);
        free(native);
    }
}

static inline void refuses_to_translate(translator *translate, const struct untranslatable *cases,
                                        size_t count) {
    for (size_t i = 0; i < count; i++) {
        char *native = NULL;
        struct error err = {.text = ""};
        if (ok(translate(cases[i].text, &native, &err) == -1, "refuses '%.80s'", cases[i].text))
            says(err.text, cases[i].reason, "and says why");
        ok(!native, "and gives nothing");
        free(native);
    }
}

#define TRANSLATES(translate, cases) translates(translate, cases, sizeof(cases) / sizeof *(cases))
#define REFUSES(translate, cases) refuses_to_translate(translate, cases, sizeof(cases) / sizeof *(cases))
