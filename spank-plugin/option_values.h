// What was given for the options: for each one text, or, where options add up, several, one in a line.
#pragma once

#include "error.h"
#include "option_rules.h"

#include <stdbool.h>

struct option_values {
    // NULL for what was not given.
    char *text[OPTION_COUNT];
};

// Checks one value and takes it: to the others if the option adds up, in their place otherwise. Relative
// paths in it start at `directory`. A value that is there already moves to the end.
int option_values_take(struct option_values *values, enum option_id id, const char *text,
                       const char *directory, struct error *err);

// Takes each line of what another option_values held. NULL is nothing.
int option_values_take_lines(struct option_values *values, enum option_id id, const char *lines,
                             const char *directory, struct error *err);

// Forgets one option, or all.
void option_values_drop(struct option_values *values, enum option_id id);
void option_values_clear(struct option_values *values);

bool option_values_is_yes(const struct option_values *values, enum option_id id);

// The first option that has not the same value in both, OPTION_COUNT if there is none.
enum option_id option_values_difference(const struct option_values *a, const struct option_values *b);

// "NAME=VALUE" for each value that is stowage-enter's, NULL-terminated, to be freed with one free(). NULL
// without memory.
char **option_values_for_helper(const struct option_values *values);
