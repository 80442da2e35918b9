// What pyxis does with the environment of a rank besides what we do with it anyway.
#pragma once

#include "error.h"
#include "step.h"

#include <slurm/spank.h>

// Forgets the job's locale, which the image may not have, and tells PyTorch which rank this is, in an image
// that has it. Before the rank enters the container.
int pyxis_rank_prepare(spank_t spank, const struct step_container *container, struct error *err);
