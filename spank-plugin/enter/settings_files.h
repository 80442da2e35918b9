// Where a user, and the site, keep options: config.toml, and named environments (--image=@NAME). What is in
// them is for stowaged to read: here is found which files there are, and which variables they name.
#pragma once

#include "error.h"

#include <limits.h>
#include <stdbool.h>
#include <stowage/v1/image.pb-c.h>

enum {
    SETTINGS_FILE_MAX = 256 * 1024,
    // ${NAME} in one file.
    SETTINGS_VARIABLES_MAX = 256,
};

struct settings_places {
    // The user's home directory.
    const char *home;
    // Absolute: ~/.config/stowage, the environments there, and the site's.
    char own[PATH_MAX];
    char own_environments[PATH_MAX];
    const char *site_environments;
};

// Fills in where to look. `home` and `site` must outlive the struct.
int settings_places_find(struct settings_places *places, const char *home, const char *site,
                         struct error *err);

// Whether it can be the name of an environment, and with ".toml" that of a file in the directory.
bool is_environment_name(const char *name);

// Reads config.toml. Sets *file to NULL if there is none. The caller releases it with
// stowage__v1__settings_file__free_unpacked(). What is wrong with a file is said in file->problem; fails only
// for want of memory.
int settings_file_config(const struct settings_places *places, Stowage__V1__SettingsFile **file,
                         struct error *err);

// Reads the environment of that name, which is_environment_name() has accepted: the user's own or else the
// site's. If there is none, file->path is "", file->problem says where it was looked for, and file->others
// which ones there are. Otherwise as settings_file_config().
int settings_file_environment(const struct settings_places *places, const char *name,
                              Stowage__V1__SettingsFile **file, struct error *err);
