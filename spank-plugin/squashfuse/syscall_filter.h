// The system calls the server may make once it is confined.
#pragma once

#include "error.h"

// Installs the filter for this process and the threads it will start. Any other call kills the process with
// SIGSYS. In builds with sanitizers, whose runtimes make calls of their own, this does nothing.
int syscall_filter_install(struct error *err);
