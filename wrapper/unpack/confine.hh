// Shutting this process in: afterwards it reaches nothing but the tree and the descriptors it was given.
#pragma once

#include "descriptor.hh"
#include "options.hh"

namespace stowage {

// Closes every descriptor but standard error and those in `options`, enters namespaces of its own, makes
// options.root_fd the root of the file system, gives up all capabilities and installs the system call
// filter. Returns the root directory, open. The process must have one thread.
//
// options.directory_fd becomes a descriptor of the same directory that cannot be written to and from which
// no way leads out. With options.identify_fd the root is an empty directory, nothing can be opened any more,
// and nothing is returned.
//
// Throws Refusal with Fault::node where the node does not allow it, Fault::usage for a root that is no
// directory.
Descriptor confine(Options &options);

} // namespace stowage
