// Finding out what a file is, by having stowage-unpack read it.
#pragma once

#include "identity.h"
#include "progress.h"

// Identifies the regular file open at `fd`. Reads all of it unless it is an archive of layers. Fails with the
// program's own sentence.
int identify(struct identity *identity, int fd, struct progress *progress, struct error *err);
