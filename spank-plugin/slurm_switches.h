// The switches of switches.h, as Slurm has them at this site.
#pragma once

#include "dialect.h"
#include "settings.h"

#include <slurm/spank.h>
#include <stdbool.h>

// Whether the command, or the step, has the switches of that dialect.
bool slurm_switches_has(const struct settings *settings, enum dialect dialect);

// Registers all that there are. The callback gets their index in option_switches. Fails silently where
// another plugin has an option of that name; Slurm says so, and the other plugin gets the value.
void slurm_switches_register(spank_t spank, const struct settings *settings, spank_opt_cb_f callback);
