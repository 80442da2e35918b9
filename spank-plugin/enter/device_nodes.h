// Device nodes of the host in a container.
#pragma once

#include "error.h"

#include <stowage/v1/image.pb-c.h>

// Puts plan->device_nodes where they are to be. Call when everything is mounted. Refuses a node that is not
// the one that the specification speaks of.
int device_nodes_make(int root, const Stowage__V1__ContainerPlan *plan, struct error *err);
