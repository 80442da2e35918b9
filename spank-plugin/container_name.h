// The grammar of --image-name: NAME[:auto|create|exec|no_exec].
#pragma once

#include "error.h"

// Longest NAME, in bytes. It becomes the name of a directory.
enum { CONTAINER_NAME_MAX = 128 };

int container_name_check(const char *text, struct error *err);
