// What the site set behind the plugin's name in plugstack.conf.
#pragma once

#include "dialect.h"
#include "error.h"
#include "pyxis_settings.h"

#include <stdbool.h>

struct settings {
    // Socket of stowaged. socket=PATH, default /run/stowaged/api.sock.
    const char *socket;
    // Directory of the unpacked images, owned by root. trees=PATH, default /run/stowage/trees.
    const char *trees;
    // Directory of stowage-enter, stowage-exec and stowage-unpack. libexec=PATH, default
    // /usr/libexec/stowage.
    const char *libexec;
    // Directory of the site's named environments. environments=PATH, default /etc/stowage/environments.
    const char *environments;
    // Whether the batch script runs inside the image as well. batch=host|container, default host.
    bool batch_in_container;
    // Whether a job's image begins to come in when the job starts. prefetch=yes|no, default yes.
    bool prefetch;
    // Whose options there are: our own, and those of compat=pyxis,shifter.
    bool speaks[DIALECT_COUNT];
    struct pyxis_settings pyxis;
};

// For a plugin whose arguments cannot be read: every option there may be, and the defaults.
extern const struct settings settings_of_all_dialects;

// Reads the arguments. The strings stay owned by Slurm, which keeps them as long as the plugin is loaded.
// Fails on an unknown argument or value and names it.
int settings_read(struct settings *settings, int argc, char **argv, struct error *err);
