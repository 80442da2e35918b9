#include "pyxis_defaults.h"
#include "compat_pyxis.h"

#include <stdlib.h>

static int take_text(struct option_values *values, enum option_id id, const char *text, struct error *err) {
    return values->text[id] ? 0 : option_values_take(values, id, text, "/", err);
}

// What a variable of enroot says, "" if it is not set.
static int read_variable(const char *variable, const char **flag, struct error *err) {
    const char *text = getenv(variable);
    *flag = text && text[0] ? pyxis_flag_value(text) : "";
    return *flag ? 0 : error_set(err, "the variable %s: \"%.100s\" is neither y nor n", variable, text);
}

static int take_flag(struct option_values *values, enum option_id id, const char *variable,
                     const char *otherwise, struct error *err) {
    const char *flag = "";
    if (variable && read_variable(variable, &flag, err) != 0)
        return -1;
    if (flag[0] == '\0')
        flag = otherwise;
    return flag ? take_text(values, id, flag, err) : 0;
}

// Nothing where ours is the same: a site may have forbidden an option.
static const char *if_set(bool flag) {
    return flag ? "yes" : NULL;
}

int pyxis_defaults_take(struct option_values *values, const struct pyxis_settings *site, bool is_job,
                        struct error *err) {
    if (take_flag(values, OPTION_HOME, "ENROOT_MOUNT_HOME", site->mount_home ? "yes" : "no", err) != 0 ||
        take_flag(values, OPTION_ROOT, "ENROOT_REMAP_ROOT", if_set(site->remap_root), err) != 0 ||
        take_flag(values, OPTION_WRITABLE, "ENROOT_ROOTFS_WRITABLE", NULL, err) != 0 ||
        take_flag(values, OPTION_ENTRYPOINT, NULL, if_set(site->execute_entrypoint), err) != 0 ||
        take_text(values, OPTION_WORKDIR, WORKDIR_OF_IMAGE, err) != 0)
        return -1;
    return is_job ? take_text(values, OPTION_BATCH, "yes", err) : 0;
}
