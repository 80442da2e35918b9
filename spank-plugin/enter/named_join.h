// Joining a container that runs.
#pragma once

#include "error.h"
#include "step.h"

#include <stowage/v1/image.pb-c.h>

// Moves this process into the namespaces of `inhabitant`, a pidfd, those of `entry` included; its root
// directory is the container's then. What the plan shows of the host for the sake of this step alone, such as
// its PMIx server's directory, is mounted there if it is not to be seen yet.
int named_join(int inhabitant, const struct step_entry *entry, const Stowage__V1__ContainerPlan *plan,
               struct error *err);
