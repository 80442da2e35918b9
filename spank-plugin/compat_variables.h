// The variables PYXIS_CONTAINER_…, each of which stands for one of pyxis's options.
#pragma once

#include "error.h"
#include "option_values.h"

// Takes what they give an option, if any of them is set. Fails if a value cannot be used, or contradicts what
// our own variable, or another of pyxis's, has already given.
int compat_variables_take(struct option_values *values, enum option_id id, const char *directory,
                          struct error *err);
