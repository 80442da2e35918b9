// Lists in options, in which a backslash takes from ',' ':' and '\' behind it what they mean.
#pragma once

#include "error.h"

#include <stdio.h>

// Where the first part of `text` ends: at the first `separator` without a backslash in front, or at the end.
const char *escaped_end(const char *text, char separator);

// Takes the first part off the front of *rest, and ends it with a NUL. *rest becomes NULL behind the last
// one.
char *escaped_take(char **rest, char separator);

// Turns a part into what it stands for, in place.
int escaped_resolve(char *part, struct error *err);

// Writes the text so that escaped_resolve() gives it back.
void escaped_write(FILE *to, const char *text);
