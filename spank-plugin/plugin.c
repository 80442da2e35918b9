// The hooks that Slurm calls, and nothing else. Which hook runs in which process and as whom is told in
// docs/path-of-an-image.md; what Slurm makes of their return values in docs/decisions/0002.
#include "cleanup.h"
#include "helper.h"
#include "join.h"
#include "reference.h"
#include "settings.h"
#include "step.h"
#include "tree_directory.h"

#include <signal.h>
#include <slurm/spank.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

SPANK_PLUGIN(stowage, 1)

// Step ids that Slurm reserves (slurm/slurm.h: SLURM_BATCH_SCRIPT and its neighbours).
static const uint32_t BATCH_STEP = 0xfffffffb;
static const uint32_t INTERACTIVE_STEP = 0xfffffffa;
static const uint32_t EXTERN_STEP = 0xfffffffc;

// Carries the image to the batch step, which loses SPANK options under `sbatch --export=NONE` (Slurm 22.05),
// while variables whose names start with SLURM_ survive.
static const char IMAGE_VARIABLE[] = "SLURM_STOWAGE_IMAGE";

// Where Slurm itself keeps the job's --image for the srun commands inside the job.
static const char INHERITED_VARIABLE[] = "SLURM_SPANK__SLURM_SPANK_OPTION_stowage_image";

static int on_image(int value, const char *argument, int remote);

static struct spank_option image_option = {
    .name = "image",
    .arginfo = "REF",
    .usage = "run the ranks inside the container image REF, for example ubuntu:24.04, "
             "registry.example.org/team/app:1.2 or app@sha256:<digest>; your user, home directory, working "
             "directory, devices and network stay those of the host",
    .has_arg = 1,
    .cb = on_image,
};

// One Slurm process loads the plugin once, for one job: its state is the process's.
static struct settings settings;
// Whether an image was asked for, and which. Only what was asked for can be missing: with `requested` a rank
// runs in `image` or not at all.
static bool requested;
static char *image;
static struct step *step;
// The first failure in slurmstepd. It is kept until task_init, because only there does Slurm stop the step
// for it without draining the node or reporting success.
static struct error deferred;
static bool failed;

static void defer(const struct error *err) {
    if (!failed)
        deferred = *err;
    failed = true;
}

static bool in_allocation_command(void) {
    return spank_context() == S_CTX_LOCAL || spank_context() == S_CTX_ALLOCATOR;
}

// Slurm gives all components of `srun --image=A x : --image=B y` the image that was named last.
static bool contradicts(const char *argument) {
    const char *inherited = getenv(INHERITED_VARIABLE);
    return image && strcmp(image, argument) != 0 && !(inherited && strcmp(image, inherited) == 0);
}

static int check_locally(const char *argument) {
    struct error err;
    if (reference_check(argument, &err) != 0) {
        slurm_error("stowage: %s", err.text);
        return -1;
    }
    if (contradicts(argument)) {
        slurm_error(
            "stowage: --image is given twice, as %s and %s; all parts of one srun share one image, so start "
            "a second srun for the other",
            image, argument);
        return -1;
    }
    return 0;
}

static int on_image(int value, const char *argument, int remote) {
    (void)value;
    if (!remote && check_locally(argument) != 0)
        return -1;
    // The job's value comes first, and that of srun, which overrides it, last.
    free(image);
    image = strdup(argument ? argument : "");
    requested = true;
    return image ? 0 : -1;
}

int slurm_spank_init(spank_t spank, int argc, char **argv) {
    struct error err;
    if (settings_read(&settings, argc, argv, &err) != 0) {
        defer(&err);
        if (in_allocation_command()) {
            slurm_error("stowage: %s", err.text);
            return -1;
        }
    }
    if (in_allocation_command() || spank_context() == S_CTX_REMOTE)
        return spank_option_register(spank, &image_option) == ESPANK_SUCCESS ? 0 : -1;
    return 0;
}

static void pass_image_to_batch_step(void) {
    if (settings.batch_in_container && image)
        setenv(IMAGE_VARIABLE, image, 1);
    else
        unsetenv(IMAGE_VARIABLE);
}

static char *image_from_environment(spank_t spank) {
    char value[REFERENCE_MAX + 1];
    if (spank_getenv(spank, IMAGE_VARIABLE, value, sizeof value) != ESPANK_SUCCESS)
        return NULL;
    return strdup(value);
}

// Whether this step is the job's own script or shell rather than something that srun starts.
static bool is_batch(uint32_t step_id) {
    return step_id == BATCH_STEP || step_id == INTERACTIVE_STEP;
}

// Decides whether this step runs in an image, and makes what its ranks will share. Failures wait for
// task_init.
static void prepare_step(spank_t spank) {
    uint32_t step_id = 0, ranks = 0;
    struct error err;
    if (spank_get_item(spank, S_JOB_STEPID, &step_id) != ESPANK_SUCCESS ||
        spank_get_item(spank, S_JOB_LOCAL_TASK_COUNT, &ranks) != ESPANK_SUCCESS) {
        error_set(&err, "Slurm does not say which step this is");
        defer(&err);
        return;
    }
    bool on_host = step_id == EXTERN_STEP || (is_batch(step_id) && !settings.batch_in_container);
    if (on_host && !failed)
        requested = false;
    else if (!requested && is_batch(step_id))
        requested = (image = image_from_environment(spank)) != NULL;
    if (!requested)
        return;
    if (reference_check(image, &err) != 0 || step_create(&step, ranks, &err) != 0)
        defer(&err);
}

int slurm_spank_init_post_opt(spank_t spank, int argc, char **argv) {
    (void)argc;
    (void)argv;
    if (spank_context() == S_CTX_ALLOCATOR)
        pass_image_to_batch_step();
    else if (spank_context() == S_CTX_REMOTE)
        prepare_step(spank);
    return 0;
}

int slurm_spank_task_init_privileged(spank_t spank, int argc, char **argv) {
    (void)argc;
    (void)argv;
    if (!requested || failed)
        return 0;
    uid_t uid;
    gid_t gid;
    struct error err;
    if (spank_get_item(spank, S_JOB_UID, &uid) != ESPANK_SUCCESS ||
        spank_get_item(spank, S_JOB_GID, &gid) != ESPANK_SUCCESS) {
        error_set(&err, "Slurm does not say whose job this is");
        defer(&err);
    } else if (tree_directory_make(settings.trees, uid, gid, &err) != 0) {
        defer(&err);
    }
    return 0;
}

static int lead(spank_t spank, struct error *err) {
    struct helper_request request = {.image = image, .slurmstepd = getppid()};
    int arguments = 0;
    char **argument = NULL;
    if (spank_get_item(spank, S_JOB_ID, &request.job_id) != ESPANK_SUCCESS ||
        spank_get_item(spank, S_JOB_STEPID, &request.step_id) != ESPANK_SUCCESS ||
        spank_get_item(spank, S_JOB_ENV, &request.environment) != ESPANK_SUCCESS ||
        spank_get_item(spank, S_JOB_ARGV, &arguments, &argument) != ESPANK_SUCCESS)
        return error_set(err, "Slurm does not say what this step is");

    // Slurm keeps the batch script in its spool directory and executes it from there.
    char script_directory[PATH_MAX];
    if (is_batch(request.step_id) && arguments > 0 && argument[0][0] == '/' && argument[0][1] != '\0') {
        snprintf(script_directory, sizeof script_directory, "%s", argument[0]);
        *strrchr(script_directory, '/') = '\0';
        request.host_directory = script_directory;
    }
    return helper_run(&settings, &request, step_container(step), err);
}

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
            return error_set(err, "cannot set a variable of the image's environment");
    }
    if (spank_setenv(spank, "PWD", container->working_directory, 1) != ESPANK_SUCCESS)
        return error_set(err, "cannot set PWD");
    return 0;
}

static int enter_container(spank_t spank, struct error *err) {
    struct step_container *container = step_container(step);
    cleanup_close int holder = -1;
    if (join_container(container->holder, container->working_directory, &holder, err) != 0)
        return -1;
    if (step_joined(step))
        pidfd_send_signal(holder, SIGKILL, NULL, 0);
    return set_environment(spank, container, err);
}

// Ends the rank. Returning an error would do if the plugin is loaded as `required`; where a site wrote
// `optional`, Slurm would go on and run the program on the host.
static void refuse(spank_t spank, const struct error *err) {
    char node[256];
    if (spank_getenv(spank, "SLURMD_NODENAME", node, sizeof node) != ESPANK_SUCCESS)
        snprintf(node, sizeof node, "this node");
    if (err)
        slurm_error("stowage: %s: %s", node, err->text);
    _exit(1);
}

int slurm_spank_task_init(spank_t spank, int argc, char **argv) {
    (void)argc;
    (void)argv;
    if (!requested)
        return 0;
    if (failed)
        refuse(spank, &deferred);

    struct error err;
    enum step_outcome outcome;
    if (step_enter(step, &outcome, &err) != 0)
        refuse(spank, &err);
    if (outcome == STEP_UNDECIDED) {
        bool led = lead(spank, &err) == 0;
        step_decide(step, led ? STEP_READY : STEP_FAILED);
        if (!led)
            refuse(spank, &err);
    } else if (outcome == STEP_FAILED) {
        // The rank that led has said why.
        refuse(spank, NULL);
    }
    if (enter_container(spank, &err) != 0)
        refuse(spank, &err);
    return 0;
}

int slurm_spank_job_epilog(spank_t spank, int argc, char **argv) {
    (void)argc;
    (void)argv;
    uid_t uid;
    gid_t gid;
    struct error err;
    if (failed || spank_get_item(spank, S_JOB_UID, &uid) != ESPANK_SUCCESS)
        return 0;
    int found = tree_directory_find(settings.trees, uid, &gid, &err);
    if (found < 0 || (found > 0 && helper_sweep(&settings, uid, gid, &err) != 0))
        slurm_error("stowage: %s", err.text);
    // An epilog that fails drains the node; trees that stay behind are only memory.
    return 0;
}
