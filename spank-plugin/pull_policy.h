// When the registry is to be asked what a name stands for: --image-pull, and PullPolicy in image.proto, whose
// numbers these are.
#pragma once

#include "error.h"

enum pull_policy {
    // What the site has set.
    PULL_OF_SITE,
    PULL_MISSING,
    PULL_ALWAYS,
    PULL_NEVER,
};

// Reads missing, always or never.
int pull_policy_parse(const char *text, enum pull_policy *policy, struct error *err);

// As it is written; "" for PULL_OF_SITE.
const char *pull_policy_name(enum pull_policy policy);
