// The system calls the unpacker may make once it is confined.
#pragma once

namespace stowage {

// Installs the filter for this process and the threads it will start. Any other call kills the process with
// SIGSYS. In builds with sanitizers, whose runtimes make calls of their own, this does nothing. Throws
// Refusal with Fault::node.
void install_syscall_filter();

} // namespace stowage
