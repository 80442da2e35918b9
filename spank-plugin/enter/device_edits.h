// What devices change in a container besides mounts and environment.
#pragma once

#include "error.h"
#include "progress.h"

#include <stowage/v1/image.pb-c.h>

// Call when everything is mounted, before the root directory changes. Refuses a device that is not what its
// specification says, or whose libraries cannot work in this image.
int device_edits_apply(int root, const Stowage__V1__ContainerPlan *plan, struct progress *progress,
                       struct error *err);
