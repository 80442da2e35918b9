#include "settings.h"
#include "cleanup.h"

#include <string.h>

const struct settings settings_of_all_dialects = {
    .speaks = {true, true, true},
    .pyxis = PYXIS_SETTINGS_DEFAULT,
};

static const char *value_of(const char *argument, const char *key) {
    size_t length = strlen(key);
    return strncmp(argument, key, length) == 0 && argument[length] == '=' ? argument + length + 1 : NULL;
}

// The tree path ends up in overlayfs mount options, which give ',', ':' and '\' a meaning of their own.
static bool is_plain_path(const char *path) {
    return path[0] == '/' && strpbrk(path, ",:\\ \t") == NULL;
}

static int read_compat(struct settings *settings, const char *argument, const char *value,
                       struct error *err) {
    cleanup_free char *names = strdup(value);
    if (!names)
        return error_errno(err, "plugstack.conf: '%s'", argument);
    for (char *rest = names, *name; (name = strsep(&rest, ","));) {
        if (strcmp(name, "pyxis") == 0)
            settings->speaks[DIALECT_PYXIS] = true;
        else if (strcmp(name, "shifter") == 0)
            settings->speaks[DIALECT_SHIFTER] = true;
        else
            return error_set(err,
                             "plugstack.conf: '%s' asks for \"%s\"; there are compat=pyxis|shifter and "
                             "compat=pyxis,shifter",
                             argument, name);
    }
    return 0;
}

// What is not our own may be pyxis's. *pyxis becomes the argument if it is.
static int read_pyxis(struct settings *settings, const char *argument, const char **pyxis,
                      struct error *err) {
    switch (pyxis_settings_take(&settings->pyxis, argument, err)) {
    case PYXIS_ARGUMENT_TAKEN:
        *pyxis = argument;
        return 0;
    case PYXIS_ARGUMENT_REFUSED:
        return -1;
    case PYXIS_ARGUMENT_UNKNOWN:
        break;
    }
    return error_set(err,
                     "plugstack.conf: unknown argument '%s' for spank_stowage.so; there are socket=, "
                     "trees=, libexec=, environments=, batch=host|container, prefetch=yes|no and "
                     "compat=pyxis,shifter",
                     argument);
}

int settings_read(struct settings *settings, int argc, char **argv, struct error *err) {
    struct settings read = {
        .socket = "/run/stowaged/api.sock",
        .trees = "/run/stowage/trees",
        .libexec = "/usr/libexec/stowage",
        .environments = "/etc/stowage/environments",
        .prefetch = true,
        .speaks = {[DIALECT_STOWAGE] = true},
        .pyxis = PYXIS_SETTINGS_DEFAULT,
    };
    const char *pyxis = NULL;
    for (int i = 0; i < argc; i++) {
        const char *value;
        const char **path = NULL;
        if ((value = value_of(argv[i], "socket")))
            path = &read.socket;
        else if ((value = value_of(argv[i], "trees")))
            path = &read.trees;
        else if ((value = value_of(argv[i], "libexec")))
            path = &read.libexec;
        else if ((value = value_of(argv[i], "environments")))
            path = &read.environments;

        if (path) {
            if (!is_plain_path(value))
                return error_set(err, "plugstack.conf: '%s' wants an absolute path without ',', ':' and '\\'",
                                 argv[i]);
            *path = value;
        } else if (strcmp(argv[i], "batch=container") == 0 || strcmp(argv[i], "batch=host") == 0) {
            read.batch_in_container = strcmp(argv[i], "batch=container") == 0;
        } else if (strcmp(argv[i], "prefetch=yes") == 0 || strcmp(argv[i], "prefetch=no") == 0) {
            read.prefetch = strcmp(argv[i], "prefetch=yes") == 0;
        } else if ((value = value_of(argv[i], "compat"))) {
            if (read_compat(&read, argv[i], value, err) != 0)
                return -1;
        } else if (read_pyxis(&read, argv[i], &pyxis, err) != 0) {
            return -1;
        }
    }
    if (pyxis && !read.speaks[DIALECT_PYXIS])
        return error_set(err, "plugstack.conf: '%s' is of use with compat=pyxis only", pyxis);
    *settings = read;
    return 0;
}
