// Hooks of CDI specifications, as createContainer hooks of the OCI runtime specification: programs of the
// host that change the container before its root directory becomes that of the ranks.
#pragma once

#include "error.h"

#include <stowage/v1/image.pb-c.h>

// Runs them one after another. They find the root on the host's paths, by the bundle that the state on their
// standard input names; what they write goes to the step's standard error.
int hooks_run(int root, const Stowage__V1__ContainerPlan *plan, struct error *err);
