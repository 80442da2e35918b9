// The arguments in plugstack.conf that pyxis has, and those that stand for lines of enroot.conf.
#pragma once

#include "error.h"

#include <stdbool.h>

struct pyxis_settings {
    // What holds for an image that was asked for as pyxis does it, unless somebody says otherwise.
    // execute_entrypoint=, mount_home=, remap_root=, default no.
    bool execute_entrypoint;
    bool mount_home;
    bool remap_root;
    // Whether sbatch and salloc have pyxis's options, too. sbatch_support=, default yes.
    bool sbatch_support;
};

#define PYXIS_SETTINGS_DEFAULT                                                                               \
    { .sbatch_support = true }

enum pyxis_argument { PYXIS_ARGUMENT_TAKEN, PYXIS_ARGUMENT_UNKNOWN, PYXIS_ARGUMENT_REFUSED };

// Takes one argument of the plugin. An argument of pyxis that asks for what cannot be had is refused with the
// reason and the remedy.
enum pyxis_argument pyxis_settings_take(struct pyxis_settings *settings, const char *argument,
                                        struct error *err);
