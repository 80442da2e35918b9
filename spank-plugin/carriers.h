// The variables in which srun, sbatch and salloc leave what holds (command_options.c), for slurmstepd
// (step_options.c) and for the prolog (job_options.c).
//
// Slurm itself hands on the last value of each option only, loses it under `sbatch --export=NONE` (22.05),
// and knows nothing of the variables STOWAGE_IMAGE…. Those whose names begin with SLURM_ get to the steps
// whatever --export says: decision 0020.
#pragma once

// Goes before the name of each option's variable, see option_variable().
#define CARRIER_PREFIX "SLURM_"

// Has the value CARRIED_PYXIS in a step whose image was asked for as pyxis does it.
#define DIALECT_CARRIER "SLURM_STOWAGE_DIALECT"
#define CARRIED_PYXIS "pyxis"

// For the prolog, which has no environment of the job; Slurm puts SPANK_ in front.
#define PROLOG_IMAGE_CARRIER "STOWAGE_PREFETCH"
#define PROLOG_PULL_CARRIER "STOWAGE_PREFETCH_PULL"
