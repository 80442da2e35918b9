// The layers' open descriptors, from stowaged's second socket (docs/decisions/0003).
#pragma once

#include "error.h"

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

// Fetches the layers' descriptors for a ticket (ContainerPlan.blob_ticket). `descriptors` has room for
// `count`; on success all are open and owned by the caller.
int daemon_fetch_blobs(const char *socket_path, const ProtobufCBinaryData *ticket, int *descriptors,
                       size_t count, struct error *err);
