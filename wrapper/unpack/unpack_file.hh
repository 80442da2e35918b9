// A root file system in one file, put into the tree.
#pragma once

#include "options.hh"
#include "tree_writer.hh"

namespace stowage {

// Throws Refusal.
void unpack_file(const Options &options, TreeWriter &writer, Budget &budget);

} // namespace stowage
