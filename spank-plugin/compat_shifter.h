// What values of Shifter's options are in our own: docs/shifter.md. Nothing here knows of Slurm.
//
// Each function writes the value to *native, to be freed, or NULL if nothing is asked for; or fails. What our
// own option would refuse is left to its check.
#pragma once

#include "error.h"

// The kind of the CDI devices that stand for a site's modules: --module=NAME is the device NAME of it.
#define SHIFTER_MODULE_KIND "shifter.site/module"

// [docker:]NAME, or whatever else --image takes. Images that only Shifter's gateway knows are refused.
int shifter_image(const char *text, char **native, struct error *err);

// SRC:DST[:ro] separated by ';' or ','.
int shifter_volume(const char *text, char **native, struct error *err);

// NAME,... or none
int shifter_module(const char *text, char **native, struct error *err);

// NAME=VALUE, all of which behind '=' is the value.
int shifter_env(const char *text, char **native, struct error *err);

// Empty: the image's own.
int shifter_entrypoint(const char *text, char **native, struct error *err);
