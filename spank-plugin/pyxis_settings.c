#include "pyxis_settings.h"
#include "compat_pyxis.h"

#include <stddef.h>
#include <string.h>

static const char *value_of(const char *argument, const char *key) {
    size_t length = strlen(key);
    return strncmp(argument, key, length) == 0 && argument[length] == '=' ? argument + length + 1 : NULL;
}

static enum pyxis_argument refuse(struct error *err, const char *argument, const char *remedy) {
    error_set(err, "plugstack.conf: '%s' of pyxis cannot be had; %s", argument, remedy);
    return PYXIS_ARGUMENT_REFUSED;
}

static enum pyxis_argument take_flag(bool *flag, const char *argument, const char *value, struct error *err) {
    const char *known = pyxis_flag_value(value);
    if (!known) {
        error_set(err, "plugstack.conf: '%s' is neither 0 nor 1", argument);
        return PYXIS_ARGUMENT_REFUSED;
    }
    *flag = strcmp(known, "yes") == 0;
    return PYXIS_ARGUMENT_TAKEN;
}

static enum pyxis_argument take_scope(const char *argument, const char *value, struct error *err) {
    if (strcmp(value, "job") == 0)
        return PYXIS_ARGUMENT_TAKEN;
    return refuse(err, argument, "a container with a name is kept until its job ends: container_scope=job");
}

enum pyxis_argument pyxis_settings_take(struct pyxis_settings *settings, const char *argument,
                                        struct error *err) {
    static const struct {
        const char *key;
        const char *remedy;
    } REFUSED[] = {
        {"runtime_path", "images are unpacked below trees=; leave it out"},
        {"importer", "stowaged fetches images; leave it out"},
        {"use_enroot_load", "layers are unpacked without a squashfs file between; leave it out"},
        {"use_squashfuse", "set image.squashfs = \"mount\" in stowage.toml instead"},
        {"epilog", "what a job leaves behind is always removed; leave it out"},
    };
    const struct {
        const char *key;
        bool *flag;
    } flags[] = {
        {"execute_entrypoint", &settings->execute_entrypoint},
        {"mount_home", &settings->mount_home},
        {"remap_root", &settings->remap_root},
        {"sbatch_support", &settings->sbatch_support},
    };
    const char *value;
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if ((value = value_of(argument, flags[i].key)))
            return take_flag(flags[i].flag, argument, value, err);
    }
    if ((value = value_of(argument, "container_scope")))
        return take_scope(argument, value, err);
    for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++) {
        if (value_of(argument, REFUSED[i].key))
            return refuse(err, argument, REFUSED[i].remedy);
    }
    return PYXIS_ARGUMENT_UNKNOWN;
}
