// Which rank is the last one: told by an eventfd, which lives on when a rank executes another program.
#pragma once

#include "error.h"

#include <stdbool.h>
#include <stdint.h>

// Makes the descriptor, which is closed on exec, for `count` processes, one at least.
int countdown_make(uint32_t count, int *fd, struct error *err);

// Counts the caller. True for the last one.
bool countdown_is_last(int fd);
