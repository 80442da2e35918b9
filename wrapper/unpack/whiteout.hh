// The names by which a layer removes what lower layers hold (OCI image layer specification, "Whiteouts").
// Pure; Tree::hide_lower does the removing.
#pragma once

#include "entry_name.hh"

namespace stowage {

enum class Whiteout {
    none,    // an ordinary entry
    name,    // hides `target` of lower layers
    opaque,  // hides all that lower layers have in the entry's directory
    ignored, // housekeeping of the aufs file system, not content
};

// Stores in `target` the base name hidden by Whiteout::name. Throws Refusal for `.wh.` followed by nothing,
// `.` or `..`, and for a whiteout that is used as a directory.
Whiteout whiteout_of(const EntryName &name, std::string &target);

} // namespace stowage
