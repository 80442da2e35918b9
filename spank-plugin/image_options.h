// What was asked for: the options of srun, sbatch and salloc (switches.c), and the variables STOWAGE_IMAGE….
//
// Slurm itself hands on the last value of each option only, loses it under `sbatch --export=NONE` (22.05),
// and knows nothing of the variables. So the command puts everything together, checks it, and leaves it in
// variables SLURM_STOWAGE_IMAGE…, which get to the steps whatever --export says: decision 0020.
//
// One Slurm process loads the plugin once, for one job: what was given is the process's.
#pragma once

#include "error.h"
#include "image_source.h"
#include "pull_policy.h"
#include "settings.h"

#include <slurm/spank.h>
#include <stdbool.h>

// What was asked for.
struct image_choice {
    // As it was written, or "" where the name of a container is enough; source points into it.
    const char *image;
    struct image_source source;
    enum pull_policy pull;
    bool show_digest;
    // For struct helper_request.
    char **options;
};

// Fails silently where another plugin has an option of that name; Slurm says so, and the other plugin gets
// the value. The settings must stay.
void image_options_register(spank_t spank, const struct settings *settings);

// Whether an image is to be entered, which may be refused all the same.
bool image_options_wanted(void);

// Whether the batch script is to run in the image, too; by_default is the site's word.
bool image_options_include_batch(bool by_default);

// In srun, sbatch and salloc, once for each part of a heterogeneous job: puts together what holds, and leaves
// it to the steps. Fails if anything cannot be used, or if the parts differ.
int image_options_conclude(spank_t spank, struct error *err);

// In slurmstepd: takes what image_options_conclude() left.
int image_options_receive(spank_t spank, struct error *err);

// What was received. Everything is checked again: it came through the environment.
int image_options_read(struct image_choice *choice, struct error *err);

// The image and pull policy in a job's prolog. The text is Slurm's.
int image_options_read_job(spank_t spank, struct image_choice *choice, struct error *err);

// In slurmstepd: whether the image was asked for as pyxis does it.
bool image_options_are_pyxis(void);

// In slurmstepd: whether the variable was named with --image-env, whatever for.
bool image_options_name_variable(const char *name);

// In a rank: forgets what is for this step alone and not for the srun commands in it.
void image_options_forget_once(spank_t spank);
