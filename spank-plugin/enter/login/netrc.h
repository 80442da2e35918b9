// enroot's .credentials, in the format of netrc(5) as curl reads it.
#pragma once

#include "login.h"

// Finds the first entry whose machine is the registry, with its port if the registry has one: for enroot and
// curl a machine is all ports of it, and on some of them whoever has an account there may listen. $NAME and
// ${NAME} in a name or password stand for variables that are set, and for themselves otherwise, as enroot has
// it; nothing is ever executed. The login of `default` is sent to nobody: whoever asks for one could be
// anybody. Returns 1, 0 if there is none, or -1 with the reason as a clause that follows the file's name.
int netrc_find(const char *text, const char *registry, struct login *login, struct error *problem);
