// The system calls the unpacker may make once it is confined.
#pragma once

#include "options.hh"

namespace stowage {

// Installs the filter for the work in `options`, for this process and the threads it will start. Any other
// call kills the process with SIGSYS. In builds with sanitizers, whose runtimes make calls of their own, this
// does nothing. Throws Refusal with Fault::node.
void install_syscall_filter(const Options &options);

} // namespace stowage
