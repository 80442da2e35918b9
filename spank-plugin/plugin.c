// The hooks that Slurm calls in its commands and for steps; those for jobs are in job_hooks.c. Which hook
// runs in which process and as whom is told in docs/path-of-an-image.md; what Slurm makes of their return
// values in docs/decisions/0002.
#include "command_options.h"
#include "helper.h"
#include "pyxis_rank.h"
#include "save_wait.h"
#include "settings.h"
#include "step.h"
#include "step_options.h"
#include "task_entry.h"
#include "tree_directory.h"

#include <signal.h>
#include <slurm/spank.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

SPANK_PLUGIN(stowage, 1)

// Step ids that Slurm reserves (slurm/slurm.h: SLURM_BATCH_SCRIPT and its neighbours).
static const uint32_t BATCH_STEP = 0xfffffffb;
static const uint32_t INTERACTIVE_STEP = 0xfffffffa;
static const uint32_t EXTERN_STEP = 0xfffffffc;

// One Slurm process loads the plugin once, for one job: its state is the process's.
static struct settings settings;
// Whether the ranks are to run in an image. Only what was asked for can be missing: with `requested` a rank
// runs in the image of `choice` or not at all.
static bool requested;
static struct step_choice choice;
static struct step *step;
// Of slurmstepd, which the ranks have as their parent.
static pid_t slurmstepd;
// The first failure. It is kept until Slurm can do the right thing with it: in srun and its like until
// init_post_opt, when it is known whether there is an image; in slurmstepd until task_init, because only
// there Slurm stops the step for it without draining the node or reporting success.
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

int slurm_spank_init(spank_t spank, int argc, char **argv) {
    struct error err;
    if (settings_read(&settings, argc, argv, &err) != 0) {
        defer(&err);
        // Whichever option is used, what is wrong is to be said.
        settings = settings_of_all_dialects;
    }
    if (in_allocation_command())
        command_options_register(spank, &settings);
    else if (spank_context() == S_CTX_REMOTE)
        step_options_register(spank, &settings);
    return 0;
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
    slurmstepd = getpid();
    // Before anything that can fail: a failure stops only a step that is known to want an image.
    if (step_options_receive(spank, &err) != 0)
        defer(&err);
    requested = step_options_wanted();
    if (spank_get_item(spank, S_JOB_STEPID, &step_id) != ESPANK_SUCCESS ||
        spank_get_item(spank, S_JOB_LOCAL_TASK_COUNT, &ranks) != ESPANK_SUCCESS) {
        error_set(&err, "Slurm does not say which step this is");
        defer(&err);
        return;
    }
    bool on_host =
        is_batch(step_id) ? !step_options_include_batch(settings.batch_in_container) : step_id == EXTERN_STEP;
    if (on_host && !failed)
        requested = false;
    if (!requested || failed)
        return;
    if (step_options_read(&choice, &err) != 0 || step_create(&step, ranks, &err) != 0)
        defer(&err);
}

// Whether nothing speaks against starting the job. Wrong settings do so only if there is an image.
static int conclude(spank_t spank) {
    struct error err;
    int result = command_options_conclude(spank, &err);
    if (failed && command_options_wanted()) {
        err = deferred;
        result = -1;
    }
    if (result != 0)
        slurm_error("stowage: %s", err.text);
    return result;
}

int slurm_spank_init_post_opt(spank_t spank, int argc, char **argv) {
    (void)argc;
    (void)argv;
    if (in_allocation_command())
        return conclude(spank);
    if (spank_context() == S_CTX_REMOTE)
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

static int lead(spank_t spank, pid_t *helper, struct error *err) {
    struct helper_request request = {.image = choice.image,
                                     .pull = choice.pull,
                                     .pyxis = step_options_are_pyxis(),
                                     .options = choice.options,
                                     .slurmstepd = slurmstepd};
    uint32_t node = 0;
    int arguments = 0;
    char **argument = NULL;
    if (spank_get_item(spank, S_JOB_ID, &request.job_id) != ESPANK_SUCCESS ||
        spank_get_item(spank, S_JOB_STEPID, &request.step_id) != ESPANK_SUCCESS ||
        spank_get_item(spank, S_JOB_NODEID, &node) != ESPANK_SUCCESS ||
        spank_get_item(spank, S_JOB_ENV, &request.environment) != ESPANK_SUCCESS ||
        spank_get_item(spank, S_JOB_ARGV, &arguments, &argument) != ESPANK_SUCCESS)
        return error_set(err, "Slurm does not say what this step is");

    // Every step has a first node, and one line is enough.
    request.show_digest = choice.show_digest && node == 0;

    // Slurm keeps the batch script in its spool directory and executes it from there.
    char script_directory[PATH_MAX];
    if (is_batch(request.step_id) && arguments > 0 && argument[0][0] == '/' && argument[0][1] != '\0') {
        snprintf(script_directory, sizeof script_directory, "%s", argument[0]);
        *strrchr(script_directory, '/') = '\0';
        request.host_directory = script_directory;
    }
    return helper_run(&settings, &request, step_container(step), helper, err);
}

// While a rank waits for its image it ends with slurmstepd, whose death nobody else would tell it.
static int end_with_slurmstepd(struct error *err) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != slurmstepd)
        return error_set(err, "slurmstepd has ended");
    return 0;
}

// The program that the rank becomes shall not know of this.
static void outlive_slurmstepd(void) {
    prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
}

// One rank of the node is enough to say what all of them have met.
static bool is_first_rank(spank_t spank) {
    int rank = 0;
    return spank_get_item(spank, S_TASK_ID, &rank) != ESPANK_SUCCESS || rank == 0;
}

// Ends the rank. Returning an error would do if the plugin is loaded as `required`; where a site wrote
// `optional`, Slurm would go on and run the program on the host.
static void refuse(spank_t spank, const struct error *err) {
    char node[256];
    if (spank_getenv(spank, "SLURMD_NODENAME", node, sizeof node) != ESPANK_SUCCESS)
        snprintf(node, sizeof node, "this node");
    if (err)
        slurm_error("stowage: %s: %s", node, err->text);
    if (err && step_options_are_pyxis())
        slurm_error("pyxis: couldn't start container");
    _exit(1);
}

int slurm_spank_task_init(spank_t spank, int argc, char **argv) {
    (void)argc;
    (void)argv;
    if (!requested)
        return 0;
    if (failed)
        refuse(spank, is_first_rank(spank) ? &deferred : NULL);

    struct error err;
    if (task_entry_check(spank, &err) != 0)
        refuse(spank, is_first_rank(spank) ? &err : NULL);
    enum step_outcome outcome;
    if (end_with_slurmstepd(&err) != 0 || step_enter(step, &outcome, &err) != 0)
        refuse(spank, &err);
    pid_t helper = 0;
    if (outcome == STEP_UNDECIDED) {
        bool led = lead(spank, &helper, &err) == 0;
        step_decide(step, led ? STEP_READY : STEP_FAILED);
        if (!led)
            refuse(spank, &err);
    } else if (outcome == STEP_FAILED) {
        // The rank that led has said why.
        refuse(spank, NULL);
    }
    step_options_forget_once(spank);
    if (step_options_are_pyxis() && pyxis_rank_prepare(spank, step_container(step), &err) != 0)
        refuse(spank, &err);
    if (save_wait_split(step, &err) != 0 || task_entry(spank, &settings, step, &err) != 0)
        refuse(spank, &err);
    helper_reap(helper);
    outlive_slurmstepd();
    return 0;
}
