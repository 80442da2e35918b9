// The grammar of --image-env: NAME for the job's value, NAME=VALUE for this one, several separated by ','.
// What a backslash does in VALUE: escaped_text.h. wrapper/settings/env-spec.ts is the same.
#pragma once

#include "error.h"

#include <stdbool.h>

// Fails with the name, the reason and the remedy; no value is repeated.
int env_spec_check(const char *text, struct error *err);

// Whether one of the variables has this name.
bool env_spec_has(const char *text, const char *name);
