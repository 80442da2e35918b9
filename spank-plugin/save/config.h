// The JSON documents of an OCI image. Texts are the caller's; NULL on failure.
#pragma once

#include "error.h"
#include "outer.h"

#include <stdio.h>

// Reads a configuration and completes it for an image of one layer, of which the archive is not compressed.
char *config_read(FILE *from, const struct digest *layer, struct error *err);

char *config_manifest(const struct digest *config, const struct digest *layer, struct error *err);

char *config_index(const struct digest *manifest, struct error *err);
