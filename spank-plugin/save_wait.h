// Ranks of a step whose container is saved (--image-save).
#pragma once

#include "error.h"
#include "step.h"

// Splits the rank in two, if the container is to be saved: the child goes on and becomes the rank's program;
// the process that Slurm knows waits for it, the last one of the node then for the file, and ends as the
// program did. A program that succeeded ends with 1 if the file could not be written. So slurmstepd waits for
// nothing but a rank, which it can signal and kill. Returns in the child, or fails.
int save_wait_split(struct step *step, struct error *err);
