// Steps 3 to 7 of docs/path-of-an-image.md: asking stowaged, and getting hold of the image's tree.
#pragma once

#include "account.h"
#include "error.h"
#include "local_image.h"
#include "options.h"
#include "progress.h"
#include "tree.h"

#include <stowage/v1/image.pb-c.h>

// `local` is the image in the user's files, or NULL. On success *plan and tree->lock belong to the caller.
int acquire_image(const struct options *options, const struct account *account,
                  const struct tree_store *store, const struct local_image *local, struct progress *progress,
                  Stowage__V1__ContainerPlan **plan, struct tree *tree, struct error *err);
