// Saving the container of a step when its last rank has ended: --image-save.
//
// The saver is a process that is started with the container and then waits. It has a mount namespace of its
// own, in which the host's files can be seen as well as the container's bare root, without what the container
// shows of the host. It opens
//   descriptor 1, a pipe: a byte on it says that the last rank has ended; whoever sent it keeps the pipe open
//                 until the answer has come, and ends the saving by closing it
//   descriptor 3, a pipe: on which it writes what the user must see, lines of text, and a NUL in the end if
//   the
//                 file is in place
// of which /proc/<saver>/fd has the other ends; see ../save_wait.c. It has no descriptor of the job, so that
// slurmstepd does not take it for a rank whose output it must await, and ends with slurmstepd.
#pragma once

#include "account.h"
#include "error.h"
#include "options.h"
#include "save_target.h"

#include <stowage/v1/image.pb-c.h>
#include <sys/types.h>

struct save {
    // Whether this step on this node saves: there is the option, and it is the step's first node.
    bool wanted;
    struct save_target target;
    // 0 if there is none.
    pid_t saver;
};

// Fails, before anything is prepared, if the file could not be written.
int save_open(struct save *save, const struct options *options, const char *home, struct error *err);

// Ends the saver, and leaves no file.
void save_abandon(struct save *save);

// What the saver works with.
struct save_source {
    // slurmstepd, a pidfd.
    int lifeline;
    const char *node;
    const struct account *account;
    const Stowage__V1__ContainerPlan *plan;
    // A directory of the user to mount on.
    const char *place;
    // A process that lives in the container, a pidfd, or -1: then this process's mounts are the host's, and
    // the container's bare root is at `root`.
    int inhabitant;
    const char *root;
    // The image's own root; may be out of sight.
    const char *image;
};

// Starts the saver, if it is wanted. Call before anything is mounted below `root`.
int save_start(struct save *save, const struct save_source *source, struct error *err);
