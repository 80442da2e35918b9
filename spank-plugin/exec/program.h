// The program of a rank, looked up as execvp(3) does, with words for what goes wrong.
#pragma once

#include "error.h"

#include <limits.h>

// What a name stands for that may end in a slash, as with `srun --bcast=DIRECTORY/`: the file `broadcast` in
// that directory. Fails with errno set.
int program_name(const char *name, const char *broadcast, char full[PATH_MAX], struct error *err);

// Finds the file that `name` stands for: itself if there is a slash in it, otherwise the first executable one
// in the directories of `search`, the value of PATH, or NULL. Fails with errno set.
int program_find(const char *name, const char *search, char path[PATH_MAX], struct error *err);

// Executes it. Returns only on failure, with errno set.
int program_execute(const char *path, char *const argv[], char *const environment[], struct error *err);
