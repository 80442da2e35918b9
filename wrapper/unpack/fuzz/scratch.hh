// Where fuzz targets unpack to: a directory on a tmpfs that only this process sees, with a canary beside it.
#pragma once

#include "../descriptor.hh"
#include "description.hh"

#include <sys/stat.h>

namespace stowage::fuzz {

class Scratch {
  public:
    // The one of this process. Ends the process with a sentence if that is root's, or may not make
    // namespaces.
    static Scratch &instance();

    // A new empty tree, open. From now on memory is bounded.
    Descriptor make_tree();
    // What is in the tree. Takes modes away from what it describes: to be called once.
    Description describe_tree();
    // Removes the tree, and aborts if anything beside it has changed or a descriptor has been left open.
    void remove_tree();

  private:
    Scratch();

    Descriptor place_;
    struct stat canary_ = {};
    int free_descriptor_ = -1;
};

} // namespace stowage::fuzz
