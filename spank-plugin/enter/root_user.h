// What makes root of an image out of the job's user, as far as it is done before the ranks join; the rest is
// root_emulation.h's.
#pragma once

#include "account.h"
#include "environment.h"
#include "error.h"
#include "progress.h"

// Makes root's home directory, and tells apt not to become another user, as it would see that it did not.
int root_user_prepare(int root, const struct account *account, struct error *err);

// Takes what apt was told out of what is saved of a container, unless a rank changed it.
int root_user_undo(int root, struct error *err);

// HOME, USER and LOGNAME of root, unless *environment sets them.
int root_user_environment(struct environment *environment, const struct account *account, struct error *err);

// Warns of what cannot work as root, if the job's environment says that it may be tried.
void root_user_warn(struct progress *progress);
