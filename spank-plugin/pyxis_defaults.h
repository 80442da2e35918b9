// What holds for an image that was asked for as pyxis does it, and not as we do it, where nobody says
// otherwise: docs/pyxis.md.
#pragma once

#include "error.h"
#include "option_values.h"
#include "pyxis_settings.h"

#include <stdbool.h>

// The variables of enroot count more than the site's settings. Fails if one of them cannot be understood.
int pyxis_defaults_take(struct option_values *values, const struct pyxis_settings *site, bool is_job,
                        struct error *err);
