// How the environment changes on the way into the container, as struct step_container has it.
#pragma once

#include "error.h"
#include "step.h"

// Changes the caller's environment, PWD included. The strings stay in *container.
int records_apply(struct step_container *container, struct error *err);
