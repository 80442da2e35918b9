// What is saved of a container: its files as ranks left them, without what is mounted over them and with the
// image's accounts instead of those that are made for a step.
#pragma once

#include "account.h"
#include "error.h"

// Mounts, in this process's mount namespace, an overlay over the container's bare root. Changes go to a
// tmpfs. `image` is the image's own root, or -1; `place` a directory to mount on, of which the content is
// hidden then. Returns a descriptor of it.
int save_view_open(int root, int image, const struct account *account, const char *place, struct error *err);
