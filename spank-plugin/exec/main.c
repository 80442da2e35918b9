// stowage-exec FD BROADCAST PROGRAM [ARGUMENT...]
//
// What a rank executes in place of its program where Slurm can put one before it (23.11): enters the
// container and becomes the program. By then TaskProlog has run, on the host. FD is described in handover.h,
// BROADCAST in program.h.
// Linked statically, because LD_LIBRARY_PATH and LD_PRELOAD of the rank are meant for the program in the
// image.
#include "cleanup.h"
#include "exec/handover.h"
#include "exec/program.h"
#include "exec/records.h"
#include "join.h"

#include <errno.h>
#include <stdio.h>

static struct step_container container;

static void refuse(const struct error *err, int status) {
    const char *node = getenv("SLURMD_NODENAME");
    fprintf(stderr, "stowage: %s: %s\n", node ? node : "this node", err->text);
    _exit(status);
}

static int parse_fd(const char *text) {
    char *end;
    long fd = strtol(text, &end, 10);
    return *end == '\0' && fd > STDERR_FILENO && fd < INT_MAX ? (int)fd : -1;
}

static int enter(int fd, struct error *err) {
    struct handover_descriptors taken;
    if (handover_take(fd, &container, &taken, err) != 0)
        return -1;
    cleanup_close int holder = taken.holder;
    cleanup_close int countdown = taken.countdown;
    int joined = join_container(&container, holder, err);
    join_release_holder(&container, holder, countdown);
    return joined == 0 ? records_apply(&container, err) : -1;
}

int main(int argc, char **argv) {
    int fd = argc > 3 ? parse_fd(argv[1]) : -1;
    if (fd < 0) {
        fprintf(stderr, "stowage-exec is started by Slurm, through the plugin spank_stowage.so\n");
        return 2;
    }
    struct error err;
    if (enter(fd, &err) != 0)
        refuse(&err, EXIT_FAILURE);

    char name[PATH_MAX], path[PATH_MAX];
    char **program = argv + 3;
    errno = 0;
    if (program_name(program[0], argv[2], name, &err) != 0)
        refuse(&err, errno);
    program[0] = name;
    if (program_find(program[0], getenv("PATH"), path, &err) == 0)
        program_execute(path, program, environ, &err);
    // As slurmstepd does: the number of the error is the status.
    refuse(&err, errno);
}
