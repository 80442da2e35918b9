// What the job around a command was given: for srun in a job, and for sbatch and salloc in one.
//
// Slurm has it in variables of its own (switch_inherited_variable()), and calls a command's callbacks for it
// as if it stood on the command line.
#pragma once

#include "dialect.h"
#include "option_values.h"

#include <stdbool.h>

// Reads the environment, as it was when the command began. Call once, before any callback.
void inherited_options_read(void);

// What holds in the job, unchecked; nothing if there is no job around.
const struct option_values *inherited_options(void);

// How the job's image was asked for.
enum dialect inherited_options_dialect(void);

// Whether a callback with this argument tells of the job, and not of the command line. True once for each.
bool inherited_options_are_told(int index, const char *argument);

// The next part of a heterogeneous job begins.
void inherited_options_begin_part(void);
