#include "switches.h"
#include "compat_pyxis.h"
#include "compat_shifter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Our own do without the fields at the end.
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

const struct option_switch option_switches[SWITCH_COUNT] = {
    {"image", "REF",
     "run the ranks inside the container image REF: ubuntu:24.04, registry.example.org/team/app:1.2, "
     "app@sha256:<digest>, a file or directory as in ./app.sif, oci:/data/app:1.2, or @NAME for what the "
     "environment NAME names",
     OPTION_IMAGE, NULL},
    {"image-pull", "missing|always|never",
     "when to ask the registry what the name stands for: when the node does not know, once in each job, or "
     "not at all; the default is the site's",
     OPTION_PULL, NULL},
    {"image-show-digest", NULL, "print the digest of the image that runs, once in each step",
     OPTION_SHOW_DIGEST, "yes"},
    {"image-mount", "SRC:DST[:FLAGS],...",
     "show SRC of the host at DST; FLAGS as in ro+nosuid; also tmpfs:DST[:size=1G] and umount:DST; adds up",
     OPTION_MOUNT, NULL},
    {"image-workdir", "DIR|image",
     "start in DIR of the container, or where the image says (default: where the job was submitted)",
     OPTION_WORKDIR, NULL},
    {"image-env", "NAME[=VALUE],...",
     "set variables, or keep the job's value where the image has one too; adds up", OPTION_ENV, NULL},
    {"image-home", NULL, "show your home directory (default)", OPTION_HOME, "yes"},
    {"no-image-home", NULL, "do not show your home directory", OPTION_HOME, "no"},
    {"image-writable", NULL,
     "let ranks write to the image, until the step ends (default, unless the site changed it)",
     OPTION_WRITABLE, "yes"},
    {"image-readonly", NULL, "let ranks only read the image", OPTION_WRITABLE, "no"},
    {"image-root", NULL, "be uid 0 inside, to install packages", OPTION_ROOT, "yes"},
    {"no-image-root", NULL, "be yourself inside (default)", OPTION_ROOT, "no"},
    {"image-entrypoint", NULL, "run the image's entrypoint first, once in each step on each node",
     OPTION_ENTRYPOINT, "yes"},
    {"no-image-entrypoint", NULL, "do not run it (default)", OPTION_ENTRYPOINT, "no"},
    {"image-device", "CDI,...", "add devices and libraries of the host: vendor/class=name; adds up",
     OPTION_DEVICE, NULL},
    {"image-name", "NAME[:auto|create|exec|no_exec]",
     "keep the container as NAME for later steps of the job, or use the one of that name", OPTION_NAME, NULL},
    {"image-save", "PATH",
     "write the container to PATH when the step ends: .sqsh, .squashfs, or .tar for OCI", OPTION_SAVE, NULL},
    {"image-unshare", "net,ipc,uts", "give the step a network, shared memory or host name of its own",
     OPTION_UNSHARE, NULL},
    {"image-batch", NULL, "run the batch script inside the image, too", OPTION_BATCH, "yes"},
    {"no-image-batch", NULL, "run the batch script on the host (default, unless the site changed it)",
     OPTION_BATCH, "no"},
    {"container-image", "[REGISTRY#]IMAGE[:TAG]|PATH",
     "[pyxis] run inside this image of a registry, or the one in this file; as --image", OPTION_IMAGE, NULL,
     DIALECT_PYXIS, pyxis_image},
    {"container-mounts", "SRC[:DST[:FLAGS]],...",
     "[pyxis] show SRC of the host at DST; FLAGS as in ro+rprivate; as --image-mount", OPTION_MOUNT, NULL,
     DIALECT_PYXIS, pyxis_mounts},
    {"container-workdir", "PATH", "[pyxis] start in PATH of the container (default: where the image says)",
     OPTION_WORKDIR, NULL, DIALECT_PYXIS, pyxis_workdir},
    {"container-name", "NAME[:auto|create|exec|no_exec]",
     "[pyxis] keep the container as NAME for later steps of the job, or use the one of that name; as "
     "--image-name",
     OPTION_NAME, NULL, DIALECT_PYXIS, pyxis_name},
    {"container-save", "PATH", "[pyxis] write the container to PATH when the step ends; as --image-save",
     OPTION_SAVE, NULL, DIALECT_PYXIS, pyxis_save},
    {"container-mount-home", NULL, "[pyxis] show your home directory", OPTION_HOME, "yes", DIALECT_PYXIS},
    {"no-container-mount-home", NULL, "[pyxis] do not show it", OPTION_HOME, "no", DIALECT_PYXIS},
    {"container-remap-root", NULL, "[pyxis] be uid 0 inside, to install packages", OPTION_ROOT, "yes",
     DIALECT_PYXIS},
    {"no-container-remap-root", NULL, "[pyxis] be yourself inside", OPTION_ROOT, "no", DIALECT_PYXIS},
    {"container-entrypoint", NULL, "[pyxis] run the image's entrypoint first", OPTION_ENTRYPOINT, "yes",
     DIALECT_PYXIS},
    {"no-container-entrypoint", NULL, "[pyxis] do not run it", OPTION_ENTRYPOINT, "no", DIALECT_PYXIS},
    {"container-entrypoint-log", NULL, "[pyxis] print what the entrypoint prints, as is done anyway",
     OPTION_COUNT, "yes", DIALECT_PYXIS},
    {"container-writable", NULL, "[pyxis] let ranks write to the image, until the step ends", OPTION_WRITABLE,
     "yes", DIALECT_PYXIS},
    {"container-readonly", NULL, "[pyxis] let ranks only read the image", OPTION_WRITABLE, "no",
     DIALECT_PYXIS},
    {"container-env", "NAME,...", "[pyxis] keep the job's value where the image has one too; as --image-env",
     OPTION_ENV, NULL, DIALECT_PYXIS, pyxis_env},
    {"container-unshare", "net,ipc,uts", "[pyxis] give the step such namespaces of its own", OPTION_UNSHARE,
     NULL, DIALECT_PYXIS, pyxis_unshare},
    // In the place of our own, and the same but for the images of Shifter's gateway.
    {"image", "[docker:]REF",
     "run the ranks inside the container image REF: docker:ubuntu:24.04, ubuntu:24.04, "
     "registry.example.org/team/app:1.2, app@sha256:<digest>, a file or directory as in ./app.sif, "
     "oci:/data/app:1.2, or @NAME for what the environment NAME names",
     OPTION_IMAGE, NULL, DIALECT_SHIFTER, shifter_image},
    {"volume", "SRC:DST[:ro];...", "[shifter] show SRC of the host at DST; as --image-mount; adds up",
     OPTION_MOUNT, NULL, DIALECT_SHIFTER, shifter_volume},
    {"module", "NAME,...", "[shifter] add these of the site's modules; adds up", OPTION_DEVICE, NULL,
     DIALECT_SHIFTER, shifter_module},
    {"env", "NAME=VALUE", "[shifter] set a variable; as --image-env; adds up", OPTION_ENV, NULL,
     DIALECT_SHIFTER, shifter_env},
    {"workdir", "DIR", "[shifter] start in DIR of the container; as --image-workdir", OPTION_WORKDIR, NULL,
     DIALECT_SHIFTER},
    {"entrypoint", "", "[shifter] run the image's entrypoint first; as --image-entrypoint", OPTION_ENTRYPOINT,
     NULL, DIALECT_SHIFTER, shifter_entrypoint, true},
};

void switch_inherited_variable(const struct option_switch *option, char name[2 * OPTION_VARIABLE_MAX]) {
    snprintf(name, 2 * OPTION_VARIABLE_MAX, "SLURM_SPANK__SLURM_SPANK_OPTION_stowage_%s", option->name);
    for (char *at = name; *at; at++) {
        if (*at == '-')
            *at = '_';
    }
}

int switch_value(const struct option_switch *option, const char *argument, char **value, struct error *err) {
    const char *text = option->value ? option->value : argument ? argument : "";
    if (option->translate)
        return option->translate(text, value, err);
    char *copy = strdup(text);
    if (!copy)
        return error_errno(err, "--%s", option->name);
    *value = copy;
    return 0;
}

char *switch_value_or_text(const struct option_switch *option, const char *argument) {
    struct error ignored;
    char *value = NULL;
    return switch_value(option, argument, &value, &ignored) == 0 ? value : strdup(argument ? argument : "");
}

int switch_blame(const struct option_switch *option, struct error *err) {
    if (option->dialect == DIALECT_STOWAGE || option->id == OPTION_COUNT)
        return -1;
    char ours[OPTION_VARIABLE_MAX], rest[ERROR_TEXT_MAX];
    int length = snprintf(ours, sizeof ours, "--%s", option_rules[option->id].name);
    if (strncmp(err->text, ours, (size_t)length) != 0)
        return -1;
    snprintf(rest, sizeof rest, "%s", err->text + length);
    return error_set(err, "%s--%s%s", option->dialect == DIALECT_PYXIS ? "pyxis: " : "", option->name, rest);
}
