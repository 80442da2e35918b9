// What the variables of pyxis and enroot come to, and whom a refusal names.
#include "compat_variables.h"
#include "pyxis_defaults.h"
#include "switches.h"
#include "tap.h"

#include <stdlib.h>

static struct option_values values;

static int take(enum option_id id, const char *name, const char *text, struct error *err) {
    setenv(name, text, 1);
    int result = compat_variables_take(&values, id, "/here", err);
    unsetenv(name);
    return result;
}

static void gives(enum option_id id, const char *name, const char *text, const char *wanted) {
    struct error err = {.text = ""};
    option_values_clear(&values);
    ok(take(id, name, text, &err) == 0, "takes %s=%s", name, text);
    is_text(values.text[id] ? values.text[id] : err.text, wanted, "as our own option would be given");
}

static void refuses(enum option_id id, const char *name, const char *text, const char *reason) {
    struct error err = {.text = ""};
    ok(take(id, name, text, &err) == -1, "refuses %s=%s", name, text);
    says(err.text, name, "and names it");
    says(err.text, reason, "and says why");
}

static void check_variables(void) {
    gives(OPTION_IMAGE, "PYXIS_CONTAINER_IMAGE", "nvcr.io#nvidia/cuda", "nvcr.io#nvidia/cuda");
    gives(OPTION_MOUNT, "PYXIS_CONTAINER_MOUNTS", "./a:/b:x-create=dir", "/here/a:/b");
    gives(OPTION_WORKDIR, "PYXIS_CONTAINER_WORKDIR", "/w", "/w");
    gives(OPTION_NAME, "PYXIS_CONTAINER_NAME", "app:", "app");
    gives(OPTION_SAVE, "PYXIS_CONTAINER_SAVE", "a.sqsh", "/here/a.sqsh");
    gives(OPTION_HOME, "PYXIS_CONTAINER_MOUNT_HOME", "1", "yes");
    gives(OPTION_HOME, "PYXIS_CONTAINER_MOUNT_HOME", "n", "no");
    gives(OPTION_ROOT, "PYXIS_CONTAINER_REMAP_ROOT", "y", "yes");
    gives(OPTION_ENTRYPOINT, "PYXIS_CONTAINER_ENTRYPOINT", "0", "no");
    gives(OPTION_WRITABLE, "PYXIS_CONTAINER_WRITABLE", "true", "yes");
    gives(OPTION_WRITABLE, "PYXIS_CONTAINER_READONLY", "1", "no");
    gives(OPTION_WRITABLE, "PYXIS_CONTAINER_READONLY", "0", "yes");
    gives(OPTION_ENV, "PYXIS_CONTAINER_ENV", "A,B", "A,B");
    gives(OPTION_UNSHARE, "PYXIS_CONTAINER_UNSHARE", "net", "net");
    option_values_clear(&values);
    refuses(OPTION_HOME, "PYXIS_CONTAINER_MOUNT_HOME", "maybe", "\"maybe\" is neither 0 nor 1");
    refuses(OPTION_IMAGE, "PYXIS_CONTAINER_IMAGE", "", "argument required");
    refuses(OPTION_MOUNT, "PYXIS_CONTAINER_MOUNTS", "/a:/b:bad", "pyxis: --container-mounts: \"/a:/b:bad\"");
    struct error err;
    option_values_take(&values, OPTION_WRITABLE, "no", "/", &err);
    refuses(OPTION_WRITABLE, "PYXIS_CONTAINER_WRITABLE", "1", "another variable says otherwise");
    option_values_clear(&values);
}

static const char *default_of(enum option_id id) {
    return values.text[id] ? values.text[id] : "(none)";
}

static void check_defaults(void) {
    struct pyxis_settings site = PYXIS_SETTINGS_DEFAULT;
    struct error err;
    ok(pyxis_defaults_take(&values, &site, false, &err) == 0, "has defaults for a step");
    is_text(default_of(OPTION_HOME), "no", "without the home directory");
    is_text(default_of(OPTION_ROOT), "(none)", "as oneself");
    is_text(default_of(OPTION_WRITABLE), "(none)", "as the node has it of writing");
    is_text(default_of(OPTION_ENTRYPOINT), "(none)", "without the entrypoint");
    is_text(default_of(OPTION_WORKDIR), WORKDIR_OF_IMAGE, "where the image starts");
    is_text(default_of(OPTION_BATCH), "(none)", "of which none is for a job");

    option_values_clear(&values);
    site = (struct pyxis_settings){.execute_entrypoint = true, .mount_home = true, .remap_root = true};
    setenv("ENROOT_MOUNT_HOME", "n", 1);
    setenv("ENROOT_ROOTFS_WRITABLE", "no", 1);
    option_values_take(&values, OPTION_WORKDIR, "/w", "/", &err);
    ok(pyxis_defaults_take(&values, &site, true, &err) == 0, "has the site's for a job");
    is_text(default_of(OPTION_HOME), "no", "over which enroot's variables win");
    is_text(default_of(OPTION_ROOT), "yes", "of root");
    is_text(default_of(OPTION_WRITABLE), "no", "of writing as well");
    unsetenv("ENROOT_ROOTFS_WRITABLE");
    is_text(default_of(OPTION_ENTRYPOINT), "yes", "of the entrypoint");
    is_text(default_of(OPTION_WORKDIR), "/w", "and leaves alone what was asked for");
    is_text(default_of(OPTION_BATCH), "yes", "and runs the batch script inside");

    option_values_clear(&values);
    setenv("ENROOT_MOUNT_HOME", "maybe", 1);
    ok(pyxis_defaults_take(&values, &site, false, &err) == -1, "refuses what it does not understand");
    says(err.text, "ENROOT_MOUNT_HOME: \"maybe\" is neither y nor n", "and names it");
    unsetenv("ENROOT_MOUNT_HOME");
    option_values_clear(&values);
}

static const struct option_switch *find(const char *name) {
    for (int i = 0; i < SWITCH_COUNT; i++) {
        if (strcmp(option_switches[i].name, name) == 0)
            return &option_switches[i];
    }
    return NULL;
}

static void blames(const char *name, const char *sentence, const char *wanted) {
    struct error err;
    error_set(&err, "%s", sentence);
    ok(switch_blame(find(name), &err) == -1, "blames --%s", name);
    is_text(err.text, wanted, "in its own name");
}

int main(void) {
    for (int i = 0; i < SWITCH_COUNT; i++)
        ok(option_switches[i].name && option_switches[i].usage, "switch %d is one", i);
    check_variables();
    check_defaults();
    blames("container-mounts", "--image-mount: no", "pyxis: --container-mounts: no");
    blames("volume", "--image-mount: no", "--volume: no");
    blames("image-mount", "--image-mount: no", "--image-mount: no");
    blames("container-image", "out of memory", "out of memory");
    return tap_done();
}
