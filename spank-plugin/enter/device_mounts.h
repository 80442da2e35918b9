// Which mounts of a plan are devices'.
#pragma once

#include <stdbool.h>
#include <stowage/v1/image.pb-c.h>

// A bind mount that a device brought: its origin is "vendor/class=name".
bool is_device_mount(const Stowage__V1__Mount *mount);

bool has_device_mounts(const Stowage__V1__ContainerPlan *plan);

// Whether the device came without the user naming it.
bool is_automatic(const Stowage__V1__ContainerPlan *plan, const char *device);
