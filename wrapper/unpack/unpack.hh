// The core: a verified image in, file tree out. Needs no confinement, so that it can be tested alone.
#pragma once

#include "descriptor.hh"
#include "options.hh"

namespace stowage {

// Unpacks the layers, the file or the directory in `options` into `root`, an empty directory. Throws Refusal;
// the tree is then unfinished and the caller's to remove.
void unpack_image(const Options &options, Descriptor root);

} // namespace stowage
