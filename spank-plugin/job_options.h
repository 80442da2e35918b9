// What a job was asked to run in, as its prolog sees it.
#pragma once

#include "error.h"
#include "image_source.h"
#include "pull_policy.h"

#include <slurm/spank.h>

struct job_choice {
    // As it was written, Slurm's text; source points into it.
    const char *image;
    struct image_source source;
    enum pull_policy pull;
};

// Reads the job's image and pull policy. Fails if it has none, or if one of them cannot be used.
int job_options_read(spank_t spank, struct job_choice *choice, struct error *err);
