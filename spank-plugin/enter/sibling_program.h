// The programs that are installed beside this one.
#pragma once

#include "error.h"

#include <limits.h>

// Fails if there is none that can be run.
int sibling_program(const char *program, char path[PATH_MAX], struct error *err);
