// What was asked for, in srun, sbatch and salloc: with their options (switches.h), by the job around them
// (inherited_options.h), and with the variables STOWAGE_IMAGE…. The command puts all of it together, checks
// it, and leaves it to the steps (carriers.h).
//
// One command loads the plugin once: what was given is the process's.
#pragma once

#include "error.h"
#include "settings.h"

#include <slurm/spank.h>
#include <stdbool.h>

// Lets Slurm tell what is given. Call in slurm_spank_init. The settings must stay.
void command_options_register(spank_t spank, const struct settings *settings);

// Once for each part of a heterogeneous job: puts together what holds, and leaves it to the steps. Fails if
// anything cannot be used, or if the parts differ.
int command_options_conclude(spank_t spank, struct error *err);

// After command_options_conclude(), even if it failed: whether a container is to be entered.
bool command_options_wanted(void);
