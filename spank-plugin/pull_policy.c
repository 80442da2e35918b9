#include "pull_policy.h"

#include <string.h>

static const char *const NAMES[] = {
    [PULL_OF_SITE] = "",
    [PULL_MISSING] = "missing",
    [PULL_ALWAYS] = "always",
    [PULL_NEVER] = "never",
};

int pull_policy_parse(const char *text, enum pull_policy *policy, struct error *err) {
    for (enum pull_policy known = PULL_MISSING; known <= PULL_NEVER; known++) {
        if (text && strcmp(text, NAMES[known]) == 0) {
            *policy = known;
            return 0;
        }
    }
    return error_set(err, "--image-pull=%.100s: there are missing, always and never", text ? text : "");
}

const char *pull_policy_name(enum pull_policy policy) {
    return NAMES[policy];
}
