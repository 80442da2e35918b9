#include "image_options.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int on_image(int value, const char *argument, int remote);
static int on_pull(int value, const char *argument, int remote);
static int on_show_digest(int value, const char *argument, int remote);

// An option, and what was given for it.
struct image_option {
    struct spank_option spank;
    // Carries the value to the batch step: variables whose names start with SLURM_ survive --export=NONE.
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

// The first one.
static struct error problem;
static bool has_problem;

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
    // A flag has none, or an empty one.
    const char *text = argument ? argument : "";
    if (!remote && !has_problem)
        has_problem = check(text, &problem) != 0;
    if (!remote && !has_problem && contradicts(option, text)) {
        has_problem = true;
        error_set(
            &problem,
            "--%s is given twice, as %s and %s; all parts of one srun share one image, so start a second "
            "srun for the other",
            option->spank.name, option->value, text);
    }
    // The job's value comes first, and that of srun, which overrides it, last.
    free(option->value);
    option->value = strdup(text);
    option->given = true;
    return 0;
}

static int on_image(int value, const char *argument, int remote) {
    (void)value;
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

void image_options_register(spank_t spank) {
    for (size_t i = 0; i < OPTION_COUNT; i++)
        spank_option_register(spank, &OPTIONS[i]->spank);
}

bool image_options_given(void) {
    return image_option.given;
}

const struct error *image_options_problem(void) {
    return has_problem ? &problem : NULL;
}

void image_options_bequeath(bool to_batch_step) {
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (to_batch_step && OPTIONS[i]->value)
            setenv(OPTIONS[i]->carrier, OPTIONS[i]->value, 1);
        else
            unsetenv(OPTIONS[i]->carrier);
    }
}

// A value that does not fit was not left by image_options_bequeath(), but was asked for all the same.
static void inherit(spank_t spank, struct image_option *option) {
    char value[IMAGE_TEXT_MAX + 1] = "";
    spank_err_t found = spank_getenv(spank, option->carrier, value, sizeof value);
    if (found == ESPANK_ENV_NOEXIST)
        return;
    option->given = true;
    option->value = found == ESPANK_SUCCESS ? strdup(value) : NULL;
}

void image_options_inherit(spank_t spank) {
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (!OPTIONS[i]->given)
            inherit(spank, OPTIONS[i]);
    }
}

int image_options_read(struct image_choice *choice, struct error *err) {
    struct image_choice read = {.image = image_option.value, .show_digest = show_digest_option.given};
    if (image_source_parse(read.image, &read.source, err) != 0)
        return -1;
    if (pull_option.given && pull_policy_parse(pull_option.value, &read.pull, err) != 0)
        return -1;
    *choice = read;
    return 0;
}

int image_options_read_job(spank_t spank, struct image_choice *choice, struct error *err) {
    struct image_choice read = {0};
    char *image = NULL, *pull = NULL;
    if (spank_option_getopt(spank, &image_option.spank, &image) != ESPANK_SUCCESS)
        return error_set(err, "the job has no --image");
    read.image = image;
    if (image_source_parse(read.image, &read.source, err) != 0)
        return -1;
    if (spank_option_getopt(spank, &pull_option.spank, &pull) == ESPANK_SUCCESS &&
        pull_policy_parse(pull, &read.pull, err) != 0)
        return -1;
    *choice = read;
    return 0;
}
