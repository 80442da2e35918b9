// The grammar of --image-unshare: namespaces that the step gets besides its own user and mount namespace, of
// net, ipc and uts, separated by ','.
#pragma once

#include "error.h"

int unshare_spec_check(const char *text, struct error *err);
