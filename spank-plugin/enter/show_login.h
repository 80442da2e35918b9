// The user's login for a registry on standard output, for programs that are not written in C: stowage(1).
#pragma once

#include "error.h"
#include "options.h"

// Writes one JSON object: username, password (base64), identity_token, source and problem, all strings; empty
// ones if there is no login. Fails unless a pipe or socket reads them: a terminal would show a password, and
// a file would keep it.
int show_login(const struct options *options, struct error *err);
