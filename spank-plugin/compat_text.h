// How the options of other plugins are rewritten as our own.
#pragma once

#include "error.h"

#include <stdio.h>

// Writes what `text`, which it may take apart, is in our own terms.
typedef int compat_writer(FILE *to, char *text, struct error *err);

// *native, the caller's to free, becomes what the writer makes of a copy of the text.
int compat_rewrite(const char *text, compat_writer *write, char **native, struct error *err);

// The same text.
int compat_copy(const char *text, char **native, struct error *err);
