// The environment that a root file system carries in files of its own, as it has no configuration:
//   /etc/environment         squashfs images of enroot, told by the /etc/rc beside it: lines NAME=VALUE
//   /ch/environment          of Charliecloud: the same, a value may stand in single quotes
//   /.singularity.d/env/*.sh of Apptainer and Singularity: scripts, run by the image's own /bin/sh
#pragma once

#include "environment.h"
#include "progress.h"

#include <stdbool.h>

// What is needed from the host, to be opened before the root changes.
struct host_files {
    // /proc (O_PATH), and /dev/null.
    int proc;
    int null;
};

int host_files_open(struct host_files *files, struct error *err);

void host_files_close(struct host_files *files);

// Adds it to *environment. Call inside the finished container, as its user. What cannot be read or run is
// left out with a remark to the user; a script that takes longer than ten seconds is such a thing.
// `is_squashfs` says whether the root came from a squashfs file.
void image_environment_add(struct environment *environment, const struct host_files *files, bool is_squashfs,
                           struct progress *progress);
