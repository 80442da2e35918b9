// The hooks that Slurm calls, and nothing else. Which hook runs in which process and as whom is told in
// docs/path-of-an-image.md; what Slurm makes of their return values in docs/decisions/0002.
#include "cleanup.h"
#include "helper.h"
#include "image_source.h"
#include "job_helper.h"
#include "join.h"
#include "pull_policy.h"
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
#include <sys/prctl.h>
#include <unistd.h>

SPANK_PLUGIN(stowage, 1)

// Step ids that Slurm reserves (slurm/slurm.h: SLURM_BATCH_SCRIPT and its neighbours).
static const uint32_t BATCH_STEP = 0xfffffffb;
static const uint32_t INTERACTIVE_STEP = 0xfffffffa;
static const uint32_t EXTERN_STEP = 0xfffffffc;

static int on_image(int value, const char *argument, int remote);
static int on_pull(int value, const char *argument, int remote);
static int on_show_digest(int value, const char *argument, int remote);

// An option of the plugin, and what was given for it.
struct image_option {
    struct spank_option spank;
    // Carries the value to the batch step, which loses SPANK options under `sbatch --export=NONE`
    // (Slurm 22.05), while variables whose names start with SLURM_ survive.
    const char *carrier;
    // Where Slurm itself keeps the job's value for the srun commands inside the job.
    const char *inherited;
    // NULL if the option was not given, or if there was no memory for it.
    char *value;
    bool given;
};

static struct image_option image_option = {
    .spank = {.name = "image",
              .arginfo = "REF",
              .usage = "run the ranks inside the container image REF: ubuntu:24.04, "
                       "registry.example.org/team/app:1.2, app@sha256:<digest>, or a file or directory as in "
                       "./app.sif, oci:/data/app:1.2; your user, home directory, working directory, devices "
                       "and network stay those of the host",
              .has_arg = 1,
              .cb = on_image},
    .carrier = "SLURM_STOWAGE_IMAGE",
    .inherited = "SLURM_SPANK__SLURM_SPANK_OPTION_stowage_image",
};

static struct image_option pull_option = {
    .spank = {.name = "image-pull",
              .arginfo = "missing|always|never",
              .usage =
                  "with --image, when to ask the registry what the name stands for: when the node does not "
                  "know, once in each job, or not at all; the default is the site's",
              .has_arg = 1,
              .cb = on_pull},
    .carrier = "SLURM_STOWAGE_IMAGE_PULL",
    .inherited = "SLURM_SPANK__SLURM_SPANK_OPTION_stowage_image_pull",
};

static struct image_option show_digest_option = {
    .spank = {.name = "image-show-digest",
              .usage = "with --image, print the digest of the image that runs, once in each step",
              .cb = on_show_digest},
    .carrier = "SLURM_STOWAGE_IMAGE_SHOW_DIGEST",
    .inherited = "SLURM_SPANK__SLURM_SPANK_OPTION_stowage_image_show_digest",
};

static struct image_option *const OPTIONS[] = {&image_option, &pull_option, &show_digest_option};

enum { OPTION_COUNT = sizeof OPTIONS / sizeof *OPTIONS };

// One Slurm process loads the plugin once, for one job: its state is the process's.
static struct settings settings;
// Whether the ranks are to run in an image. Only what was asked for can be missing: with `requested` a rank
// runs in the value of image_option or not at all.
static bool requested;
static enum pull_policy pull;
static struct step *step;
// Of slurmstepd, which the ranks have as their parent.
static pid_t slurmstepd;
// The first failure. It is kept until Slurm can do the right thing with it: in slurmstepd until task_init,
// because only there it stops the step for it without draining the node or reporting success; in srun and its
// like until init_post_opt, because after an option callback that fails it repeats the argument, and with it
// a password.
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

// Slurm gives all components of `srun --image=A x : --image=B y` the image that was named last. With sbatch
// and salloc a second value is the command line, which overrides the script.
static bool contradicts(const struct image_option *option, const char *argument) {
    // A flag has no value, and is inherited as "(null)".
    if (spank_context() != S_CTX_LOCAL || !option->spank.has_arg)
        return false;
    const char *inherited = getenv(option->inherited);
    return option->value && strcmp(option->value, argument) != 0 &&
           !(inherited && strcmp(option->value, inherited) == 0);
}

// Slurm gives the job's own --image to the commands inside the job, before theirs if they have one.
static bool is_inherited(const struct image_option *option, const char *argument) {
    const char *inherited = getenv(option->inherited);
    return !option->given && inherited && strcmp(argument, inherited) == 0;
}

static bool is_relative(const struct image_source *source) {
    return source->scheme != IMAGE_REGISTRY && source->location[0] != '/' && source->location[0] != '~';
}

// A relative path means the same wherever in the job a command is run.
static int remember_directory(struct error *err) {
    char directory[PATH_MAX];
    if (!getcwd(directory, sizeof directory) || setenv(IMAGE_DIRECTORY_VARIABLE, directory, 1) != 0)
        return error_errno(err, "cannot tell the working directory, which --image may be relative to");
    return 0;
}

static int check_image(const char *argument, struct error *err) {
    struct image_source source;
    if (image_source_parse(argument, &source, err) != 0)
        return -1;
    if (is_relative(&source) && !is_inherited(&image_option, argument) && remember_directory(err) != 0)
        return -1;
    return 0;
}

static int check_pull(const char *argument, struct error *err) {
    enum pull_policy policy;
    return pull_policy_parse(argument, &policy, err);
}

static int check_nothing(const char *argument, struct error *err) {
    (void)argument;
    (void)err;
    return 0;
}

// Takes the value of an option, which is checked where it is written.
static int take(struct image_option *option, const char *argument, int remote,
                int (*check)(const char *, struct error *)) {
    struct error err;
    // A flag has none, or an empty one.
    const char *text = argument ? argument : "";
    if (!remote && !failed && check(text, &err) != 0)
        defer(&err);
    if (!remote && !failed && contradicts(option, text)) {
        error_set(
            &err,
            "--%s is given twice, as %s and %s; all parts of one srun share one image, so start a second "
            "srun for the other",
            option->spank.name, option->value, text);
        defer(&err);
    }
    // The job's value comes first, and that of srun, which overrides it, last.
    free(option->value);
    option->value = strdup(text);
    option->given = true;
    return 0;
}

static int on_image(int value, const char *argument, int remote) {
    (void)value;
    requested = true;
    return take(&image_option, argument, remote, check_image);
}

static int on_pull(int value, const char *argument, int remote) {
    (void)value;
    return take(&pull_option, argument, remote, check_pull);
}

static int on_show_digest(int value, const char *argument, int remote) {
    (void)value;
    return take(&show_digest_option, argument, remote, check_nothing);
}

int slurm_spank_init(spank_t spank, int argc, char **argv) {
    struct error err;
    if (settings_read(&settings, argc, argv, &err) != 0)
        defer(&err);
    // Fails where another plugin has an option of that name; Slurm says so, and the other plugin gets the
    // image.
    for (size_t i = 0; i < OPTION_COUNT && (in_allocation_command() || spank_context() == S_CTX_REMOTE); i++)
        spank_option_register(spank, &OPTIONS[i]->spank);
    return 0;
}

static void pass_to_batch_step(const struct image_option *option) {
    if (settings.batch_in_container && option->value)
        setenv(option->carrier, option->value, 1);
    else
        unsetenv(option->carrier);
}

// Takes what pass_to_batch_step() left, if it left something. A value that does not fit was not its own, but
// was asked for all the same.
static void read_from_environment(spank_t spank, struct image_option *option) {
    char value[IMAGE_TEXT_MAX + 1] = "";
    spank_err_t found = spank_getenv(spank, option->carrier, value, sizeof value);
    if (found == ESPANK_ENV_NOEXIST)
        return;
    option->given = true;
    option->value = found == ESPANK_SUCCESS ? strdup(value) : NULL;
}

// Whether this step is the job's own script or shell rather than something that srun starts.
static bool is_batch(uint32_t step_id) {
    return step_id == BATCH_STEP || step_id == INTERACTIVE_STEP;
}

static int read_pull(enum pull_policy *policy, struct error *err) {
    return pull_option.given ? pull_policy_parse(pull_option.value, policy, err) : 0;
}

// Decides whether this step runs in an image, and makes what its ranks will share. Failures wait for
// task_init.
static void prepare_step(spank_t spank) {
    uint32_t step_id = 0, ranks = 0;
    struct error err;
    slurmstepd = getpid();
    // Before anything that can fail: a failure stops only a step that is known to want an image.
    bool by_option = requested;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (!OPTIONS[i]->given && !by_option)
            read_from_environment(spank, OPTIONS[i]);
    }
    requested = image_option.given;
    if (spank_get_item(spank, S_JOB_STEPID, &step_id) != ESPANK_SUCCESS ||
        spank_get_item(spank, S_JOB_LOCAL_TASK_COUNT, &ranks) != ESPANK_SUCCESS) {
        error_set(&err, "Slurm does not say which step this is");
        defer(&err);
        return;
    }
    // What srun starts has its image from an option; the variable is there as well, but meant for the batch
    // step.
    bool on_host = is_batch(step_id) ? !settings.batch_in_container : step_id == EXTERN_STEP || !by_option;
    if (on_host && !failed)
        requested = false;
    if (!requested)
        return;
    struct image_source source;
    if (image_source_parse(image_option.value, &source, &err) != 0 || read_pull(&pull, &err) != 0 ||
        step_create(&step, ranks, &err) != 0)
        defer(&err);
}

int slurm_spank_init_post_opt(spank_t spank, int argc, char **argv) {
    (void)argc;
    (void)argv;
    if (in_allocation_command() && (requested || pull_option.given) && failed) {
        slurm_error("stowage: %s", deferred.text);
        return -1;
    }
    for (size_t i = 0; i < OPTION_COUNT && spank_context() == S_CTX_ALLOCATOR; i++)
        pass_to_batch_step(OPTIONS[i]);
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

static int lead(spank_t spank, struct error *err) {
    struct helper_request request = {.image = image_option.value, .pull = pull, .slurmstepd = slurmstepd};
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
    request.show_digest = show_digest_option.given && node == 0;

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
            return error_set(err, "cannot set the variable %.100s of the image's environment", name);
    }
    if (spank_setenv(spank, "PWD", container->working_directory, 1) != ESPANK_SUCCESS)
        return error_set(err, "cannot set PWD");
    return 0;
}

static int enter_container(spank_t spank, struct error *err) {
    struct step_container *container = step_container(step);
    cleanup_close int holder = -1;
    if (join_container(container, &holder, err) != 0)
        return -1;
    if (step_joined(step))
        pidfd_send_signal(holder, SIGKILL, NULL, 0);
    return set_environment(spank, container, err);
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
    enum step_outcome outcome;
    if (end_with_slurmstepd(&err) != 0 || step_enter(step, &outcome, &err) != 0)
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
    outlive_slurmstepd();
    return 0;
}

// What a job's prolog or epilog knows of the job. Slurm calls no slurm_spank_init before either.
static int read_job(spank_t spank, int argc, char **argv, uid_t *uid, uint32_t *job_id, struct error *err) {
    if (settings_read(&settings, argc, argv, err) != 0)
        return -1;
    if (spank_get_item(spank, S_JOB_UID, uid) != ESPANK_SUCCESS ||
        spank_get_item(spank, S_JOB_ID, job_id) != ESPANK_SUCCESS)
        return error_set(err, "Slurm does not say which job this is");
    return 0;
}

// Whether the job has an image that may have to be downloaded, and nothing speaks against it.
static bool is_worth_prefetching(spank_t spank, char **image) {
    struct image_source source;
    struct error ignored;
    char *policy = NULL;
    if (spank_option_getopt(spank, &image_option.spank, image) != ESPANK_SUCCESS ||
        image_source_parse(*image, &source, &ignored) != 0 || source.scheme != IMAGE_REGISTRY)
        return false;
    if (spank_option_getopt(spank, &pull_option.spank, &policy) == ESPANK_SUCCESS &&
        pull_policy_parse(policy, &pull, &ignored) != 0)
        return false;
    return pull != PULL_NEVER;
}

int slurm_spank_job_prolog(spank_t spank, int argc, char **argv) {
    uid_t uid;
    gid_t gid;
    uint32_t job_id;
    char *image = NULL;
    struct error err;
    // Whatever goes wrong, the first step says it: a prolog that fails drains the node.
    if (read_job(spank, argc, argv, &uid, &job_id, &err) != 0 || !settings.prefetch || uid == 0 ||
        !is_worth_prefetching(spank, &image))
        return 0;
    if (spank_get_item(spank, S_JOB_GID, &gid) == ESPANK_SUCCESS &&
        tree_directory_make(settings.trees, uid, gid, &err) == 0)
        job_helper_prefetch(&settings, image, pull, job_id, uid, gid, &err);
    return 0;
}

int slurm_spank_job_epilog(spank_t spank, int argc, char **argv) {
    uid_t uid;
    gid_t gid;
    uint32_t job_id;
    struct error err;
    int found = read_job(spank, argc, argv, &uid, &job_id, &err);
    if (found == 0)
        found = tree_directory_find(settings.trees, uid, &gid, &err);
    if (found < 0 || (found > 0 && job_helper_sweep(&settings, job_id, uid, gid, &err) != 0))
        slurm_error("stowage: %s", err.text);
    // An epilog that fails drains the node; trees that stay behind are only memory.
    return 0;
}
