// docker-credential-NAME, the programs that keep logins for docker and podman
// (https://github.com/docker/docker-credential-helpers).
#pragma once

#include "login.h"

// Asks the program, which is looked for along $PATH and then where systems keep programs, for the login of
// `registry`. It runs in the process group of the caller, who sees to it that it ends. Returns 1, 0 if the
// program knows none, or -1 with the reason as a clause that follows the name of the file which names the
// program. What the program says is never repeated.
int credential_program_ask(const char *name, const char *registry, struct login *login,
                           struct error *problem);
