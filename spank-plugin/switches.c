#include "switches.h"

#include <stdio.h>

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
    {"image-workdir", "DIR", "start in DIR of the container (default: where the job was submitted)",
     OPTION_WORKDIR, NULL},
    {"image-env", "NAME[=VALUE],...",
     "set variables, or keep the job's value where the image has one too; adds up", OPTION_ENV, NULL},
    {"image-home", NULL, "show your home directory (default)", OPTION_HOME, "yes"},
    {"no-image-home", NULL, "do not show your home directory", OPTION_HOME, "no"},
    {"image-writable", NULL, "let ranks write to the image, until the step ends", OPTION_WRITABLE, "yes"},
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
    {"image-unshare", "net,ipc,uts", "give the step such namespaces of its own", OPTION_UNSHARE, NULL},
    {"image-batch", NULL, "run the batch script inside the image, too", OPTION_BATCH, "yes"},
    {"no-image-batch", NULL, "run the batch script on the host (default, unless the site changed it)",
     OPTION_BATCH, "no"},
};

void switch_inherited_variable(const struct option_switch *option, char name[2 * OPTION_VARIABLE_MAX]) {
    snprintf(name, 2 * OPTION_VARIABLE_MAX, "SLURM_SPANK__SLURM_SPANK_OPTION_stowage_%s", option->name);
    for (char *at = name; *at; at++) {
        if (*at == '-')
            *at = '_';
    }
}
