#include "pyxis_defaults.h"
#include "compat_pyxis.h"

#include <stdlib.h>

static int take_text(struct option_values *values, enum option_id id, const char *text, struct error *err) {
    return values->text[id] ? 0 : option_values_take(values, id, text, "/", err);
}

static int take_flag(struct option_values *values, enum option_id id, const char *variable, bool site,
                     struct error *err) {
    const char *text = variable ? getenv(variable) : NULL;
    const char *flag = text && text[0] ? pyxis_flag_value(text) : site ? "yes" : "no";
    if (values->text[id])
        return 0;
    if (!flag)
        return error_set(err, "the variable %s: \"%.100s\" is neither y nor n", variable, text);
    return take_text(values, id, flag, err);
}

int pyxis_defaults_take(struct option_values *values, const struct pyxis_settings *site, bool is_job,
                        struct error *err) {
    if (take_flag(values, OPTION_HOME, "ENROOT_MOUNT_HOME", site->mount_home, err) != 0 ||
        take_flag(values, OPTION_ROOT, "ENROOT_REMAP_ROOT", site->remap_root, err) != 0 ||
        take_flag(values, OPTION_WRITABLE, "ENROOT_ROOTFS_WRITABLE", site->writable, err) != 0 ||
        take_flag(values, OPTION_ENTRYPOINT, NULL, site->execute_entrypoint, err) != 0 ||
        take_text(values, OPTION_WORKDIR, WORKDIR_OF_IMAGE, err) != 0)
        return -1;
    return is_job ? take_text(values, OPTION_BATCH, "yes", err) : 0;
}
