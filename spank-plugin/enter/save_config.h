// What a saved container keeps of its image's configuration.
#pragma once

#include "error.h"

#include <stowage/v1/image.pb-c.h>

// A file in memory with an OCI image configuration but for its layers, at its beginning; or -1.
int save_config_open(const Stowage__V1__ContainerPlan *plan, struct error *err);
