// The user's login for a registry, in bounded time.
#pragma once

#include "login.h"

// Looks for the login in a process of its own, which is killed, with all that it started, if a step takes
// longer than ten seconds or all of them more than twenty, or if this process ends. Never fails:
// login->problem says what went wrong. `home` is the user's home directory. The caller calls login_release().
void login_find(const char *registry, const char *repository, const char *home, struct login *login);
