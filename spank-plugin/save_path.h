// The value of --image-save: a path whose extension tells the format: .sqsh or .squashfs for squashfs, .tar
// for an OCI archive.
#pragma once

#include "error.h"

int save_path_check(const char *text, struct error *err);

// The same path, below `directory` if it is relative. *anchored is the caller's to free.
int save_path_anchor(const char *text, const char *directory, char **anchored, struct error *err);
