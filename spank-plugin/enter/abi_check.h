// Whether the libraries that devices bring can be loaded by the programs of the image: said in words before
// the ranks start, and not by a loader or a crash in each of them.
#pragma once

#include "error.h"
#include "progress.h"

#include <stowage/v1/image.pb-c.h>

// Call when everything is mounted. Fails for a device that the user named; of one that came by itself
// (plan->automatic_devices) the first library that does not fit is told to the user.
int abi_check(int root, const Stowage__V1__ContainerPlan *plan, struct progress *progress, struct error *err);
