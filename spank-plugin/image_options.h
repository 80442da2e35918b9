// The options of srun, sbatch and salloc: --image, --image-pull and --image-show-digest. Slurm tells their
// values to the command in which they are written and to slurmstepd of the steps that the command starts, but
// the batch step loses them under `sbatch --export=NONE` (Slurm 22.05): there they come from variables of the
// job.
//
// One Slurm process loads the plugin once, for one job: what was given is the process's.
#pragma once

#include "error.h"
#include "image_source.h"
#include "pull_policy.h"

#include <slurm/spank.h>
#include <stdbool.h>

// What was asked for.
struct image_choice {
    // As it was written; source points into it.
    const char *image;
    struct image_source source;
    enum pull_policy pull;
    bool show_digest;
};

// Fails silently where another plugin has an option of that name; Slurm says so, and the other plugin gets
// the image.
void image_options_register(spank_t spank);

// Whether there is an --image, which image_options_read() may refuse all the same.
bool image_options_given(void);

// What is wrong with what is written on this command line, or NULL. It is kept until it is asked for, because
// after an option callback that fails Slurm repeats the argument, and with it a password.
const struct error *image_options_problem(void);

// In sbatch and salloc: leaves what was given in the environment, for image_options_inherit(), or nothing.
void image_options_bequeath(bool to_batch_step);

// In slurmstepd: takes what image_options_bequeath() left, for options that were not given.
void image_options_inherit(spank_t spank);

// Fails if there is no --image, or no memory for it, or if a value cannot be used.
int image_options_read(struct image_choice *choice, struct error *err);

// The same in a job's prolog, for what the job itself was given. The text is Slurm's.
int image_options_read_job(spank_t spank, struct image_choice *choice, struct error *err);
