// The core: verified layers in, file tree out. Needs no confinement, so that it can be tested alone.
#pragma once

#include "descriptor.hh"
#include "options.hh"

namespace stowage {

// Unpacks options.layers into `root`, an empty directory. Throws Refusal; the tree is then unfinished and
// the caller's to remove.
void unpack_image(const Options &options, Descriptor root);

} // namespace stowage
