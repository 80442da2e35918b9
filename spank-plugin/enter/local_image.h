// An image in the user's own files: opened once, as the user, and used through that descriptor from then on,
// so that nothing that is put in its place later is taken for it.
#pragma once

#include "error.h"
#include "identity.h"
#include "image_source.h"
#include "layout_files.h"
#include "progress.h"
#include "tree_store.h"

#include <limits.h>
#include <stdbool.h>
#include <stowage/v1/image.pb-c.h>

struct local_image {
    // The file or directory.
    int fd;
    // Absolute.
    char path[PATH_MAX];
    bool is_directory;
    Stowage__V1__LocalImage__Format format;
    // Which of several images in it; "" if there is one only.
    char *selector;
    // Of a file.
    struct identity identity;
};

// Opens what `source` stands for. `base` is where a relative path starts and `home` what "~" stands for;
// either may be NULL if unknown. A file is identified, which may take as long as reading it, unless it is
// remembered in the tree store. Fails with what is wrong with it and the remedy.
int local_image_open(struct local_image *image, const struct image_source *source, const char *base,
                     const char *home, const struct tree_store *store, struct progress *progress,
                     struct error *err);

void local_image_release(struct local_image *image);

// The files of an image that is not a root file system.
struct layout_files local_image_files(const struct local_image *image);
