#include "image_options.h"
#include "option_values.h"
#include "switches.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Carries what holds from the command to its steps.
static const char CARRIER[] = "SLURM_";
// For the prolog, which has no environment of the job; Slurm puts SPANK_ in front.
static const char PROLOG_IMAGE[] = "STOWAGE_PREFETCH", PROLOG_PULL[] = "STOWAGE_PREFETCH_PULL";

// What the options of this command gave, those of the current part of a heterogeneous job.
static struct option_values given;
// What holds for this step, in slurmstepd.
static struct option_values held;
// What Slurm itself told slurmstepd.
static const char *told[OPTION_COUNT];
// Whether an image, or a container, was asked for by anything, good or bad.
static bool wanted;
// What held for the part before.
static struct option_values earlier;
static bool has_earlier;
// What the job around this command and the variables gave, as it was when the command began.
static struct option_values job, variables;
// What Slurm gives a command inside a job as if it had been written, until it has done so.
static char *inherited[SWITCH_COUNT];
static bool inherited_known;
// The first value that cannot be used. It is kept until it is asked for, because after an option callback
// that fails Slurm repeats the argument, and with it a password.
static struct error problem;
static bool has_problem;

static const char *working_directory(void) {
    static char directory[PATH_MAX];
    return getcwd(directory, sizeof directory) ? directory : "";
}

static void take(enum option_id id, const char *text, const char *directory) {
    struct error err;
    if (option_values_take(&given, id, text, directory, &err) != 0 && !has_problem) {
        has_problem = true;
        problem = err;
    }
}

static const char *inherited_text(const struct option_switch *option) {
    char name[2 * OPTION_VARIABLE_MAX];
    switch_inherited_variable(option, name);
    return getenv(name);
}

// For later parts of a heterogeneous job, sbatch and salloc inherit what the part before was given.
static void remember_inherited(void) {
    bool inherits = !has_earlier || spank_context() == S_CTX_ALLOCATOR;
    for (int i = 0; i < SWITCH_COUNT; i++) {
        const char *text = inherits ? inherited_text(&option_switches[i]) : NULL;
        free(inherited[i]);
        inherited[i] = text ? strdup(text) : NULL;
    }
    inherited_known = true;
}

// It is in `job` already, with all that Slurm does not know of.
static bool is_inherited(int index, const char *text) {
    if (!inherited_known)
        remember_inherited();
    bool is = inherited[index] && (!option_switches[index].argument || strcmp(inherited[index], text) == 0);
    if (is) {
        free(inherited[index]);
        inherited[index] = NULL;
    }
    return is;
}

static void note_wanted(enum option_id id) {
    wanted = wanted || id == OPTION_IMAGE || id == OPTION_NAME;
}

// Slurm ends the command, or says something in a log, for a callback that fails; so none does.
static int on_option(int index, const char *argument, int remote) {
    const struct option_switch *option = &option_switches[index];
    const char *text = option->value ? option->value : argument ? argument : "";
    note_wanted(option->id);
    if (remote) {
        const char *copy = strdup(text);
        told[option->id] = copy ? copy : "";
    } else if (!is_inherited(index, argument ? argument : "")) {
        take(option->id, text, working_directory());
    }
    return 0;
}

static void remember(struct option_values *values, enum option_id id, const char *text) {
    if (text)
        values->text[id] = strdup(text);
}

static const char *variable_of(enum option_id id, const char *prefix) {
    char name[OPTION_VARIABLE_MAX];
    option_variable(id, prefix, name);
    return getenv(name);
}

// What Slurm says that the job around this command has. srun trusts what the command that made the job left,
// which is more: the variables are in it. Others make a job of their own, of which Slurm decides what it
// inherits.
static void remember_job(void) {
    bool is_step = spank_context() == S_CTX_LOCAL;
    for (int i = 0; i < SWITCH_COUNT; i++) {
        const struct option_switch *option = &option_switches[i];
        const char *text = inherited_text(option), *left = variable_of(option->id, CARRIER);
        if (!job.text[option->id] && (text || is_step))
            remember(&job, option->id, left ? left : text && option->value ? option->value : text);
    }
    remember_inherited();
    for (enum option_id id = 0; id < OPTION_COUNT; id++)
        remember(&variables, id, variable_of(id, ""));
}

void image_options_register(spank_t spank) {
    for (int i = 0; i < SWITCH_COUNT; i++) {
        const struct option_switch *option = &option_switches[i];
        struct spank_option slurms = {.name = (char *)option->name,
                                      .arginfo = (char *)option->argument,
                                      .usage = (char *)option->usage,
                                      .has_arg = option->argument != NULL,
                                      .val = i,
                                      .cb = on_option};
        spank_option_register(spank, &slurms);
    }
    if (spank_context() != S_CTX_REMOTE)
        remember_job();
}

bool image_options_wanted(void) {
    return wanted;
}

bool image_options_include_batch(bool by_default) {
    return held.text[OPTION_BATCH] ? option_values_is_yes(&held, OPTION_BATCH) : by_default;
}

static int take_variable(struct option_values *sum, enum option_id id, struct error *err) {
    if (option_values_take_lines(sum, id, variables.text[id], working_directory(), err) == 0)
        return 0;
    char name[OPTION_VARIABLE_MAX];
    option_variable(id, "", name);
    return error_wrap(err, "the variable %s", name);
}

// The variables count least, then the job, then this command. What adds up is had from all of them.
static int sum_up(struct option_values *sum, struct error *err) {
    for (enum option_id id = 0; id < OPTION_COUNT; id++) {
        bool all = option_rules[id].adds_up;
        if ((all || (!job.text[id] && !given.text[id])) && take_variable(sum, id, err) != 0)
            return -1;
        if ((all || !given.text[id]) &&
            option_values_take_lines(sum, id, job.text[id], working_directory(), err) != 0)
            return -1;
        if (option_values_take_lines(sum, id, given.text[id], working_directory(), err) != 0)
            return -1;
    }
    return 0;
}

// An option is of use with an image only. Variables may be set for other commands.
static int check_use(const struct option_values *sum, struct error *err) {
    if (sum->text[OPTION_IMAGE] || sum->text[OPTION_NAME])
        return 0;
    for (enum option_id id = 0; id < OPTION_COUNT; id++) {
        if (given.text[id])
            return error_set(err, "--%s is of use with --image only; say which image", option_rules[id].name);
    }
    return 0;
}

// Slurm gives all parts of a heterogeneous job what was given last.
static int check_parts(const struct option_values *sum, struct error *err) {
    enum option_id id = has_earlier ? option_values_difference(sum, &earlier) : OPTION_COUNT;
    if (id == OPTION_COUNT)
        return 0;
    return error_set(
        err,
        "the parts of a heterogeneous job share one image and what belongs to it, but their --%s "
        "differs; give each part the same, or start a second %s for the other",
        option_rules[id].name, spank_context() == S_CTX_LOCAL ? "srun" : "job");
}

static bool is_relative(const char *image) {
    struct image_source source;
    struct error ignored;
    return image && image_source_parse(image, &source, &ignored) == 0 && source.scheme != IMAGE_REGISTRY &&
           source.scheme != IMAGE_ENVIRONMENT && source.location[0] != '/' && source.location[0] != '~';
}

// A relative path means the same wherever in the job a command is run.
static int remember_directory(struct error *err) {
    const char *here = given.text[OPTION_IMAGE] ? given.text[OPTION_IMAGE]
                       : job.text[OPTION_IMAGE] ? NULL
                                                : variables.text[OPTION_IMAGE];
    if (!is_relative(here))
        return 0;
    const char *directory = working_directory();
    if (directory[0] == '\0' || setenv(IMAGE_DIRECTORY_VARIABLE, directory, 1) != 0)
        return error_errno(err, "cannot tell the working directory, which --image may be relative to");
    return 0;
}

static void leave(spank_t spank, const struct option_values *sum) {
    for (enum option_id id = 0; id < OPTION_COUNT; id++) {
        char name[OPTION_VARIABLE_MAX];
        option_variable(id, CARRIER, name);
        if (sum->text[id])
            setenv(name, sum->text[id], 1);
        else
            unsetenv(name);
    }
    // Without them, the prolog does nothing.
    if (sum->text[OPTION_IMAGE])
        spank_job_control_setenv(spank, PROLOG_IMAGE, sum->text[OPTION_IMAGE], 1);
    if (sum->text[OPTION_PULL])
        spank_job_control_setenv(spank, PROLOG_PULL, sum->text[OPTION_PULL], 1);
}

// The next part of a heterogeneous job begins.
static void begin_part(struct option_values *sum) {
    option_values_clear(&earlier);
    earlier = *sum;
    has_earlier = true;
    option_values_clear(&given);
    inherited_known = false;
}

int image_options_conclude(spank_t spank, struct error *err) {
    if (has_problem) {
        *err = problem;
        return -1;
    }
    struct option_values sum = {0};
    if (sum_up(&sum, err) != 0 || check_use(&sum, err) != 0 || check_parts(&sum, err) != 0 ||
        remember_directory(err) != 0) {
        option_values_clear(&sum);
        return -1;
    }
    for (enum option_id id = 0; id < OPTION_COUNT; id++) {
        if (sum.text[id])
            note_wanted(id);
    }
    leave(spank, &sum);
    begin_part(&sum);
    return 0;
}

// Slurm told something that the command did not leave: the command had another release of the plugin, or
// none.
static int trust_slurm(enum option_id id, struct error *err) {
    if (option_rules[id].anchor)
        return error_set(err,
                         "--%s came without the directory it was written in; the administrators must "
                         "install the same release of Stowage where jobs are submitted",
                         option_rules[id].name);
    return option_values_take(&held, id, told[id], "", err);
}

static int receive(spank_t spank, enum option_id id, struct error *err) {
    static char value[OPTION_TEXT_MAX];
    char name[OPTION_VARIABLE_MAX];
    option_variable(id, CARRIER, name);
    spank_err_t found = spank_getenv(spank, name, value, sizeof value);
    if (found == ESPANK_ENV_NOEXIST)
        return told[id] ? trust_slurm(id, err) : 0;
    note_wanted(id);
    if (found != ESPANK_SUCCESS)
        return error_set(err, "the variable %s is longer than %d bytes", name, OPTION_TEXT_MAX - 1);
    return option_values_take_lines(&held, id, value, "/", err);
}

int image_options_receive(spank_t spank, struct error *err) {
    int result = 0;
    // All of them even if one is bad: whether the step runs in an image must be known.
    for (enum option_id id = 0; id < OPTION_COUNT; id++) {
        if (receive(spank, id, result == 0 ? err : &(struct error){0}) != 0)
            result = -1;
    }
    return result;
}

int image_options_read(struct image_choice *choice, struct error *err) {
    struct image_choice read = {.image = held.text[OPTION_IMAGE] ? held.text[OPTION_IMAGE] : "",
                                .show_digest = option_values_is_yes(&held, OPTION_SHOW_DIGEST)};
    if (held.text[OPTION_IMAGE] && image_source_parse(read.image, &read.source, err) != 0)
        return -1;
    if (held.text[OPTION_PULL] && pull_policy_parse(held.text[OPTION_PULL], &read.pull, err) != 0)
        return -1;
    read.options = option_values_for_helper(&held);
    if (!read.options)
        return error_errno(err, "cannot hold the options");
    *choice = read;
    return 0;
}

static const char *job_text(spank_t spank, enum option_id id, const char *variable) {
    char name[OPTION_VARIABLE_MAX];
    snprintf(name, sizeof name, "SPANK_%s", variable);
    const char *left = getenv(name);
    if (left)
        return left;
    for (int i = 0; i < SWITCH_COUNT; i++) {
        struct spank_option slurms = {.name = (char *)option_switches[i].name, .has_arg = 1};
        char *text = NULL;
        if (option_switches[i].id == id && spank_option_getopt(spank, &slurms, &text) == ESPANK_SUCCESS)
            return text;
    }
    return NULL;
}

int image_options_read_job(spank_t spank, struct image_choice *choice, struct error *err) {
    struct image_choice read = {.image = job_text(spank, OPTION_IMAGE, PROLOG_IMAGE)};
    const char *pull = job_text(spank, OPTION_PULL, PROLOG_PULL);
    if (!read.image)
        return error_set(err, "the job has no --image");
    if (image_source_parse(read.image, &read.source, err) != 0)
        return -1;
    if (pull && pull_policy_parse(pull, &read.pull, err) != 0)
        return -1;
    *choice = read;
    return 0;
}

void image_options_forget_once(spank_t spank) {
    char name[OPTION_VARIABLE_MAX];
    option_variable(OPTION_SAVE, CARRIER, name);
    spank_unsetenv(spank, name);
    option_variable(OPTION_SAVE, "", name);
    spank_unsetenv(spank, name);
}
