#include "task_entry.h"
#include "cleanup.h"
#include "exec/handover.h"
#include "join.h"

#include <errno.h>
#include <slurm/slurm.h>
#include <stdio.h>
#include <string.h>

// A step in an OCI bundle is started by the runtime of oci.conf(5), which knows nothing of what a rank has
// entered.
int task_entry_check(spank_t spank, struct error *err) {
    char bundle[PATH_MAX] = "";
    spank_err_t found = spank_getenv(spank, "SLURM_CONTAINER", bundle, sizeof bundle);
    if (found == ESPANK_ENV_NOEXIST || (found == ESPANK_SUCCESS && bundle[0] == '\0'))
        return 0;
    return error_set(
        err,
        "the step has both an --image and a --container (or SLURM_CONTAINER), %.200s; it can run in one "
        "of them only, so leave out the other",
        bundle);
}

#if SLURM_VERSION_NUMBER >= SLURM_VERSION_NUM(23, 11, 0)

enum { FD_TEXT_MAX = 16 };

// What slurmstepd appends to the name of a program that is a directory, but not where another one is before
// it.
static int broadcast_name(spank_t spank, char name[PATH_MAX], struct error *err) {
    uint32_t job = 0, step = 0;
    char node[256] = "";
    if (spank_get_item(spank, S_JOB_ID, &job) != ESPANK_SUCCESS ||
        spank_get_item(spank, S_JOB_STEPID, &step) != ESPANK_SUCCESS ||
        spank_getenv(spank, "SLURMD_NODENAME", node, sizeof node) != ESPANK_SUCCESS)
        return error_set(err, "Slurm does not say which step and which node this is");
    snprintf(name, PATH_MAX, "slurm_bcast_%u.%u_%s", job, step, node);
    return 0;
}

static int exec_path(const struct settings *settings, char path[PATH_MAX], struct error *err) {
    if (snprintf(path, PATH_MAX, "%s/stowage-exec", settings->libexec) >= PATH_MAX)
        return error_set(err, "plugstack.conf: libexec= is too long");
    if (access(path, X_OK) != 0)
        return error_set(err, "%s cannot be run (%s); the administrators must install Stowage on this node",
                         path, strerror(errno));
    return 0;
}

int task_entry(spank_t spank, const struct settings *settings, struct step *step, struct error *err) {
    char path[PATH_MAX], broadcast[PATH_MAX], fd_text[FD_TEXT_MAX];
    const struct step_container *container = step_container(step);
    cleanup_close int holder = -1;
    int fd = -1;
    if (exec_path(settings, path, err) != 0 || broadcast_name(spank, broadcast, err) != 0 ||
        (holder = join_open_holder(container, err)) < 0)
        return -1;
    struct handover_descriptors descriptors = {.holder = holder, .countdown = step_countdown(step)};
    if (handover_make(container, &descriptors, &fd, err) != 0)
        return -1;
    snprintf(fd_text, sizeof fd_text, "%d", fd);
    const char *argv[] = {path, fd_text, broadcast};
    spank_err_t refusal = spank_prepend_task_argv(spank, 3, argv);
    if (refusal != ESPANK_SUCCESS)
        return error_set(err, "Slurm does not let stowage-exec run before the program: %s",
                         spank_strerror(refusal));
    return 0;
}

#else

static int set_environment(spank_t spank, struct step_container *container, struct error *err) {
    char *record = container->environment;
    char *end = record + container->environment_bytes;
    for (; record < end; record += strlen(record) + 1) {
        // The records are shared with the other ranks: look, do not write.
        char *name = record + 1;
        if (record[0] == '-') {
            spank_unsetenv(spank, name);
            continue;
        }
        char *equals = strchr(name, '=');
        cleanup_free char *copy = equals ? strndup(name, (size_t)(equals - name)) : NULL;
        if (!copy || spank_setenv(spank, copy, equals + 1, 1) != ESPANK_SUCCESS)
            return error_set(err, "cannot set the variable %.100s of the image's environment", name);
    }
    if (spank_setenv(spank, "PWD", container->working_directory, 1) != ESPANK_SUCCESS)
        return error_set(err, "cannot set PWD");
    return 0;
}

int task_entry(spank_t spank, const struct settings *settings, struct step *step, struct error *err) {
    (void)settings;
    struct step_container *container = step_container(step);
    cleanup_close int holder = join_open_holder(container, err);
    if (holder < 0)
        return -1;
    int joined = join_container(container, holder, err);
    join_release_holder(container, holder, step_countdown(step));
    return joined == 0 ? set_environment(spank, container, err) : -1;
}

#endif
