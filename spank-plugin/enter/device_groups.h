// The groups for whose members a device is.
#pragma once

#include "error.h"
#include "progress.h"

#include <stowage/v1/image.pb-c.h>

// Tells the user of those that they are not in: a process cannot give itself a group. Call before the user
// namespace is entered, in which all groups but one look alike.
int device_groups_say(const Stowage__V1__ContainerPlan *plan, struct progress *progress, struct error *err);
