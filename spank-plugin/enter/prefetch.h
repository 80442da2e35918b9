// Bringing a job's image onto the node before its first step asks for it.
#pragma once

#include "error.h"
#include "options.h"

// Asks stowaged for the image and waits until it is there, with no other words than a failure. Closes
// descriptor 3 as soon as the end of the job would find this process, and fails if nobody waits for that any
// more. The environment is replaced by one made from the user's account: the job's is not known yet.
int prefetch(const struct options *options, const char *node, struct error *err);
