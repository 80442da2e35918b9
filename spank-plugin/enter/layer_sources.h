// Where the bytes of an image's layers come from.
#pragma once

#include "blobs.h"
#include "error.h"
#include "layout_files.h"

#include <stowage/v1/image.pb-c.h>

struct layer_sources {
    // One for each layer, lowest first.
    struct file_range *ranges;
    size_t count;
};

// Fetches the layers of an image of a registry from stowaged.
int layer_sources_fetch(struct layer_sources *sources, Stowage__V1__Layer *const *layers, size_t count,
                        const char *blob_socket, const ProtobufCBinaryData *ticket, struct error *err);

// Finds the layers of a local image in its files. Fails with the name of the one that is not as it should be.
int layer_sources_find(struct layer_sources *sources, Stowage__V1__Layer *const *layers, size_t count,
                       const struct layout_files *files, struct error *err);

void layer_sources_release(struct layer_sources *sources);
