// What there is to ask for, and what may be asked for. Nothing here knows of Slurm.
#pragma once

#include "error.h"

#include <stdbool.h>

enum {
    // Of all that was given for one option, in bytes. It has to fit into one variable of the environment.
    OPTION_TEXT_MAX = 16384,
    // Values of an option that adds up.
    OPTION_PARTS_MAX = 50,
    OPTION_VARIABLE_MAX = 64,
};

enum option_id {
    OPTION_IMAGE,
    OPTION_PULL,
    OPTION_SHOW_DIGEST,
    OPTION_MOUNT,
    OPTION_WORKDIR,
    OPTION_ENV,
    OPTION_HOME,
    OPTION_WRITABLE,
    OPTION_ROOT,
    OPTION_ENTRYPOINT,
    OPTION_DEVICE,
    OPTION_NAME,
    OPTION_SAVE,
    OPTION_UNSHARE,
    OPTION_BATCH,
    OPTION_COUNT,
};

// Of --image-workdir: start where the image says.
#define WORKDIR_OF_IMAGE "image"

struct option_rule {
    // "image-mount"
    const char *name;
    // Yes or no. Their values are "yes" and "no".
    bool is_flag;
    // All that is given holds, not only the last.
    bool adds_up;
    // The name without "image-" is for stowage-enter --option.
    bool for_helper;
    // What a value must be, besides printable text. NULL for flags.
    int (*check)(const char *text, struct error *err);
    // For a value with paths that may be relative: the value with absolute ones, the caller's to free.
    int (*anchor)(const char *text, const char *directory, char **anchored, struct error *err);
};

extern const struct option_rule option_rules[OPTION_COUNT];

// Whether this alone has ranks run in a container. All others are of use with it only.
bool option_wants_container(enum option_id id);

// Whether srun would take the value.
int option_check(enum option_id id, const char *text, struct error *err);

// What people write for yes and no, as "yes" or "no"; NULL if it is neither.
const char *option_flag_value(const char *text);

// The variable that gives an option, such as STOWAGE_IMAGE_MOUNT, with something in front of it.
void option_variable(enum option_id id, const char *prefix, char name[OPTION_VARIABLE_MAX]);

// Fails if a variable in the NULL-terminated environment is named like those above and is none of them: it
// may be misspelled, or of a newer release, and what it asks for must not be left out silently.
int option_variables_check(char *const *environment, const char *prefix, struct error *err);
