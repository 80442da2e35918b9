// What was asked for, as slurmstepd gets to know it.
//
// One slurmstepd loads the plugin once, for one step: what was received is the process's.
#pragma once

#include "error.h"
#include "pull_policy.h"
#include "settings.h"

#include <slurm/spank.h>
#include <stdbool.h>

// What the ranks are to run in.
struct step_choice {
    // As it was written, or "" where the name of a container is enough.
    const char *image;
    enum pull_policy pull;
    bool show_digest;
    // For struct helper_request.
    char **options;
};

// Lets Slurm tell what it knows itself. Call in slurm_spank_init.
void step_options_register(spank_t spank, const struct settings *settings);

// Takes what command_options_conclude() left, and what Slurm has told where nothing was left. Everything is
// checked again: it came through the environment.
int step_options_receive(spank_t spank, struct error *err);

// After step_options_receive(), even if it failed: whether a container is to be entered, which may be refused
// all the same.
bool step_options_wanted(void);

// Whether the batch script is to run in the container, too; by_default is the site's word.
bool step_options_include_batch(bool by_default);

// What was received.
int step_options_read(struct step_choice *choice, struct error *err);

// Whether the image was asked for as pyxis does it.
bool step_options_are_pyxis(void);

// Whether the variable was named with --image-env, whatever for.
bool step_options_name_variable(const char *name);

// In a rank: forgets what is for this step alone and not for the srun commands in it.
void step_options_forget_once(spank_t spank);
