// The table of options as Slurm shows and reads them.
#pragma once

#include "dialect.h"
#include "error.h"
#include "option_rules.h"

#include <stdbool.h>

struct option_switch {
    const char *name;
    // NULL for a flag.
    const char *argument;
    const char *usage;
    // OPTION_COUNT if all there is to it is so anyway.
    enum option_id id;
    // What a flag gives.
    const char *value;
    enum dialect dialect;
    // The argument, in what our own option would have been given; *native may become NULL for nothing. NULL
    // for what is the same in both.
    int (*translate)(const char *argument, char **native, struct error *err);
    bool argument_is_optional;
};

enum { SWITCH_COUNT = 42 };

extern const struct option_switch option_switches[SWITCH_COUNT];

// What the switch gives our own option, to be freed, or NULL for nothing. The argument may be NULL.
int switch_value(const struct option_switch *option, const char *argument, char **value, struct error *err);

// The same, or the argument as it is, to be found bad later, if it cannot be used.
char *switch_value_or_text(const struct option_switch *option, const char *argument);

// Lets a sentence about our own option be about the switch that was written. Returns -1.
int switch_blame(const struct option_switch *option, struct error *err);

// The variable in which Slurm keeps what a job was given, for the commands inside the job.
void switch_inherited_variable(const struct option_switch *option, char name[2 * OPTION_VARIABLE_MAX]);
