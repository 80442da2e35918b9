// Finds the root file system in a SIF file, the format of Apptainer and SingularityCE.
//
// The format is described in github.com/apptainer/sif, pkg/sif: a header, a table of descriptors, and the
// data that they describe.
#pragma once

#include "file_window.hh"

#include <string>

namespace stowage {

struct SifPartition {
    FileWindow image;         // squashfs
    std::string architecture; // as OCI calls it; empty where the file does not say
};

// Throws Refusal for damage, and where there is no primary system partition with squashfs.
SifPartition find_sif_partition(const FileWindow &file);

// Throws Refusal if programs of `architecture` do not run on this node.
void check_architecture(const std::string &architecture);

} // namespace stowage
