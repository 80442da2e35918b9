// Running stowage-unpack, which turns layers into a tree while it is locked up in that tree.
#pragma once

#include "error.h"
#include "progress.h"

#include <stowage/v1/image.pb-c.h>

// Unpacks the plan's layers, open at `descriptors`, into the empty directory `root`. The program is looked up
// beside this one. Fails with its own sentence, or with what ended it; `root` may then be half filled.
int unpacker_run(int root, const Stowage__V1__ContainerPlan *plan, const int *descriptors,
                 struct progress *progress, struct error *err);
