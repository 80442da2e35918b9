// Undoing account_write() in what is saved of a container.
#pragma once

#include "account.h"
#include "error.h"

// Takes the user's lines out of /etc/passwd and /etc/group in `root` and puts those of the image back in
// whose place they came, and the image's modes. What ranks added or chose stays. `image` is the image's own
// root, or -1 when it is out of sight.
int account_restore(const struct account *account, int image, int root, struct error *err);
