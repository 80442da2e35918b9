#include "config.h"

#include <jansson.h>
#include <time.h>

#define MEDIA_TYPE "application/vnd.oci.image."

static char *text_of(json_t *document, struct error *err) {
    char *text = document ? json_dumps(document, JSON_COMPACT) : NULL;
    json_decref(document);
    if (!text)
        error_set(err, "cannot hold the documents of the image");
    return text;
}

char *config_read(FILE *from, const struct digest *layer, struct error *err) {
    char diff_id[80], created[32];
    time_t now = time(NULL);
    struct tm utc;
    snprintf(diff_id, sizeof diff_id, "sha256:%s", layer->hex);
    strftime(created, sizeof created, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    json_t *config = json_loadf(from, 0, NULL);
    json_t *more =
        json_pack("{s:s, s:{s:s, s:[s]}, s:[{s:s, s:s}]}", "created", created, "rootfs", "type", "layers",
                  "diff_ids", diff_id, "history", "created", created, "created_by", "stowage --image-save");
    if (!json_is_object(config) || json_object_update(config, more) != 0) {
        json_decref(config);
        config = NULL;
    }
    json_decref(more);
    return text_of(config, err);
}

static json_t *descriptor(const char *kind, const struct digest *of) {
    char digest[80];
    snprintf(digest, sizeof digest, "sha256:%s", of->hex);
    return json_pack("{s:s, s:s, s:I}", "mediaType", kind, "digest", digest, "size",
                     (json_int_t)of->size_bytes);
}

char *config_manifest(const struct digest *config, const struct digest *layer, struct error *err) {
    return text_of(json_pack("{s:i, s:s, s:o, s:[o]}", "schemaVersion", 2, "mediaType",
                             MEDIA_TYPE "manifest.v1+json", "config",
                             descriptor(MEDIA_TYPE "config.v1+json", config), "layers",
                             descriptor(MEDIA_TYPE "layer.v1.tar", layer)),
                   err);
}

char *config_index(const struct digest *manifest, struct error *err) {
    return text_of(json_pack("{s:i, s:s, s:[o]}", "schemaVersion", 2, "mediaType", MEDIA_TYPE "index.v1+json",
                             "manifests", descriptor(MEDIA_TYPE "manifest.v1+json", manifest)),
                   err);
}
