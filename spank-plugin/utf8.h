// The encoding of all text that crosses gRPC.
#pragma once

#include <stdbool.h>

bool utf8_is_valid(const char *text);
