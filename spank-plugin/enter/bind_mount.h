// Host files and directories shown inside the container.
#pragma once

#include "error.h"

#include <stowage/v1/image.pb-c.h>

// Makes the plan's mounts below `root`, in order. Sources are looked up on the host, targets inside the root.
int bind_mounts(int root, const Stowage__V1__ContainerPlan *plan, struct error *err);
