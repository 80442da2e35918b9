// Saying what a file is, so that others know how to use it and by which digest to call it.
#pragma once

#include "options.hh"

namespace stowage {

// Writes records "key=value", each ended by NUL, to standard output: `kind=archive` and one
// `member=OFFSET SIZE NAME` per file in an archive of an image, or `kind=` tar, cpio, squashfs or sif,
// `digest=`, `size=`, and where the squashfs image is in the file. Throws Refusal for a file of another kind.
void identify_file(const Options &options);

} // namespace stowage
