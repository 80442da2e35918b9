// Connecting to a unix stream socket of the node.
#pragma once

#include "error.h"

// Returns a connected descriptor, or -1 with a sentence that names the path. Waits at most five seconds.
int unix_connect(const char *path, struct error *err);
