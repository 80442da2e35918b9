// The answer of stowage-enter to the plugin, on descriptor 3. See parse_reply() in ../helper.c.
#pragma once

#include "environment.h"
#include "error.h"
#include "step.h"

#include <sys/types.h>

// Keeps the programs that this one starts from answering in its place.
void reply_keep(void);

// `saver` is 0 if nothing is to be saved.
int reply_ready(pid_t holder, const struct step_entry *entry, pid_t saver, const char *tree_lock,
                const char *working_directory, const struct environment *environment, struct error *err);

// If nobody listens, as when the program was started by hand, the sentence goes to standard error.
void reply_error(const struct error *failure);
