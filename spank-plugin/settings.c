#include "settings.h"

#include <string.h>

static const char *value_of(const char *argument, const char *key) {
    size_t length = strlen(key);
    return strncmp(argument, key, length) == 0 && argument[length] == '=' ? argument + length + 1 : NULL;
}

// The tree path ends up in overlayfs mount options, which give ',', ':' and '\' a meaning of their own.
static bool is_plain_path(const char *path) {
    return path[0] == '/' && strpbrk(path, ",:\\ \t") == NULL;
}

int settings_read(struct settings *settings, int argc, char **argv, struct error *err) {
    struct settings read = {
        .socket = "/run/stowaged/api.sock",
        .trees = "/run/stowage/trees",
        .libexec = "/usr/libexec/stowage",
        .environments = "/etc/stowage/environments",
        .prefetch = true,
    };
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
        } else {
            return error_set(err,
                             "plugstack.conf: unknown argument '%s' for spank_stowage.so; there are socket=, "
                             "trees=, libexec=, environments=, batch=host|container and prefetch=yes|no",
                             argv[i]);
        }
    }
    *settings = read;
    return 0;
}
