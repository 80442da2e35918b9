#include "layer_sources.h"
#include "cleanup.h"

#include <inttypes.h>

// With -1 for each descriptor.
static int make_room(struct layer_sources *sources, size_t count, struct error *err) {
    struct file_range *ranges = calloc(count + 1, sizeof *ranges);
    if (!ranges)
        return error_errno(err, "cannot hold the layers");
    for (size_t i = 0; i < count; i++)
        ranges[i].fd = -1;
    *sources = (struct layer_sources){.ranges = ranges, .count = count};
    return 0;
}

int layer_sources_fetch(struct layer_sources *sources, Stowage__V1__Layer *const *layers, size_t count,
                        const char *blob_socket, const ProtobufCBinaryData *ticket, struct error *err) {
    struct layer_sources fetched;
    cleanup_free int *descriptors = calloc(count + 1, sizeof *descriptors);
    if (!descriptors)
        return error_errno(err, "cannot hold the layers");
    if (make_room(&fetched, count, err) != 0)
        return -1;
    if (daemon_fetch_blobs(blob_socket, ticket, descriptors, count, err) != 0) {
        layer_sources_release(&fetched);
        return -1;
    }
    for (size_t i = 0; i < count; i++)
        fetched.ranges[i] = (struct file_range){.fd = descriptors[i], .size_bytes = layers[i]->size_bytes};
    *sources = fetched;
    return 0;
}

static int find(struct file_range *range, const Stowage__V1__Layer *layer, const struct layout_files *files,
                struct error *err) {
    struct error problem;
    if (layout_files_find(files, layer->member, range, &problem) != 0)
        return error_set(err, "the layer %s %s", layer->member, problem.text);
    // A docker archive says nothing of sizes.
    if (layer->size_bytes > 0 && range->size_bytes != layer->size_bytes)
        return error_set(err,
                         "the layer %s has %" PRIu64 " bytes instead of %" PRIu64 "; copy the image again",
                         layer->member, range->size_bytes, layer->size_bytes);
    return 0;
}

int layer_sources_find(struct layer_sources *sources, Stowage__V1__Layer *const *layers, size_t count,
                       const struct layout_files *files, struct error *err) {
    struct layer_sources found;
    if (make_room(&found, count, err) != 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (find(&found.ranges[i], layers[i], files, err) != 0) {
            layer_sources_release(&found);
            return -1;
        }
    }
    *sources = found;
    return 0;
}

void layer_sources_release(struct layer_sources *sources) {
    for (size_t i = 0; i < sources->count; i++)
        cleanup_close_fd(&sources->ranges[i].fd);
    free(sources->ranges);
    *sources = (struct layer_sources){0};
}
