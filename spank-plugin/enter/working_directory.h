// Where ranks start.
#pragma once

#include "error.h"
#include "options.h"
#include "progress.h"

#include <stowage/v1/image.pb-c.h>

// Where the user said; else where the job was submitted, if that is to be seen below `root`; else where the
// image says. Makes it if it is missing, unless the user asked for it in an image that is read-only. Returns
// what belongs to `options` or `plan`, or NULL.
const char *working_directory_choose(int root, const struct options *options,
                                     const Stowage__V1__ContainerPlan *plan, struct progress *progress,
                                     struct error *err);
