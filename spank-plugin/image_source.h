// What a user may give to --image: the name of an image in a registry, or something in their own files.
#pragma once

#include "error.h"

#include <stddef.h>

// Longest text that is looked at, in bytes.
enum { IMAGE_TEXT_MAX = 4096 };

// Longest name of an environment, in bytes.
enum { ENVIRONMENT_NAME_MAX = 128 };

// Set by the plugin where --image is written: the directory that a relative path in it starts from. Slurm
// hands the text itself on as it is, to nested srun commands too, which may run in another directory.
#define IMAGE_DIRECTORY_VARIABLE "SLURM_STOWAGE_DIRECTORY"

enum image_scheme {
    // [docker://|docker:]NAME, see reference.h
    IMAGE_REGISTRY,
    // oci:DIRECTORY[:TAG]
    IMAGE_OCI,
    // oci-archive:FILE[:TAG]
    IMAGE_OCI_ARCHIVE,
    // docker-archive:FILE[:NAME]
    IMAGE_DOCKER_ARCHIVE,
    // A file or directory; what it is, its content tells.
    IMAGE_PATH,
    // @NAME: a file of settings, which names the image
    IMAGE_ENVIRONMENT,
};

struct image_source {
    enum image_scheme scheme;
    // All that follows the scheme, in the caller's string. If there is something of that name on the node,
    // that is the path and nothing is selected.
    const char *location;
    // Otherwise so much of it is the path, and this is which of several images there is meant, or "": a tag
    // or, in a docker archive, a name as in its RepoTags.
    size_t path_length;
    const char *selector;
};

// Reads the text. Nothing is looked up: the file may be there on the compute nodes only.
// wrapper/image/source.ts is the same grammar; test/support/references.tsv holds the cases for both. Fails
// with the reason and the remedy; a password in the text is not repeated.
int image_source_parse(const char *text, struct image_source *source, struct error *err);
