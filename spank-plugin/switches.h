// The table of options as Slurm shows and reads them.
#pragma once

#include "option_rules.h"

#include <slurm/spank.h>

struct option_switch {
    const char *name;
    // NULL for a flag.
    const char *argument;
    const char *usage;
    enum option_id id;
    // What a flag gives.
    const char *value;
};

enum { SWITCH_COUNT = 20 };

extern const struct option_switch option_switches[SWITCH_COUNT];

// The variable in which Slurm keeps what a job was given, for the commands inside the job.
void switch_inherited_variable(const struct option_switch *option, char name[2 * OPTION_VARIABLE_MAX]);
