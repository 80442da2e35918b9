// The layers' open descriptors, from stowaged's second socket (docs/decisions/0003).
#pragma once

#include "error.h"

#include <stddef.h>
#include <stowage/v1/image.pb-c.h>

// Fetches the layers' descriptors for a plan's ticket (ContainerPlan.blob_ticket). `descriptors` has room for
// `count`; on success all are open and owned by the caller.
int daemon_fetch_blobs(const Stowage__V1__ContainerPlan *plan, int *descriptors, size_t count,
                       struct error *err);
