// The user's settings files, put to use.
#pragma once

#include "error.h"
#include "options.h"

// Replaces the image, if it is a named environment, and the options by what the user's config.toml, the
// environment and the command line come to, which go one before the other in this order; the command line's
// pull policy and --show-digest stay. Costs one look at the file system, and no call, if there is neither.
// `home` is the user's home directory. Fails with what is wrong with which file.
int apply_settings(struct options *options, const char *home, struct error *err);
