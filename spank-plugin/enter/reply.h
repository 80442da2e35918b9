// The answer of stowage-enter to the plugin, on descriptor 3. See parse_reply() in ../helper.c.
#pragma once

#include "error.h"

#include <stowage/v1/image.pb-c.h>
#include <sys/types.h>

int reply_ready(pid_t holder, const char *working_directory, const Stowage__V1__ContainerPlan *plan,
                struct error *err);

// Cannot fail in a way that anybody could act on.
void reply_error(const struct error *failure);
