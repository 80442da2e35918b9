// How a rank gets from slurmstepd into the container of its step.
//
// From Slurm 23.11 at exec time: the rank executes stowage-exec in place of its program, after TaskProlog has
// run on the host. Before, a plugin cannot have another program executed: the rank enters in task_init, and
// TaskProlog runs in the container.
#pragma once

#include "error.h"
#include "settings.h"
#include "step.h"

#include <slurm/spank.h>

// Refuses a step that Slurm would not start by executing the ranks' program. Call in task_init.
int task_entry_check(spank_t spank, struct error *err);

// Call in task_init, once the step's container is there. From its success on, Slurm either runs the program
// in the container or fails the rank. After a failure the rank must end.
int task_entry(spank_t spank, const struct settings *settings, struct step *step, struct error *err);
