// What values of pyxis's options are in our own: docs/pyxis.md. Nothing here knows of Slurm.
//
// Each function writes the value to *native, to be freed, or fails. Where scripts may look for what pyxis
// says, it is said in those words. What our own option would refuse is left to its check.
#pragma once

#include "error.h"

// [docker://]IMAGE with enroot's REGISTRY#, a path that begins with "/" or ".", or whatever --image takes.
int pyxis_image(const char *text, char **native, struct error *err);

// SRC[:DST[:FLAGS]],...; a relative DST starts at the root of the container.
int pyxis_mounts(const char *text, char **native, struct error *err);

int pyxis_workdir(const char *text, char **native, struct error *err);

// NAME[:[auto|create|exec|no_exec]]
int pyxis_name(const char *text, char **native, struct error *err);

int pyxis_save(const char *text, char **native, struct error *err);

// NAME,...
int pyxis_env(const char *text, char **native, struct error *err);

int pyxis_unshare(const char *text, char **native, struct error *err);

// What pyxis takes for yes and no, as "yes" or "no"; NULL if it is neither.
const char *pyxis_flag_value(const char *text);
