#include "image_options.h"
#include "cleanup.h"
#include "compat_variables.h"
#include "env_spec.h"
#include "option_values.h"
#include "pyxis_defaults.h"
#include "switches.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Carries what holds from the command to its steps.
static const char CARRIER[] = "SLURM_";
// Of a step whose image was asked for as pyxis does it.
static const char DIALECT_CARRIER[] = "SLURM_STOWAGE_DIALECT", PYXIS[] = "pyxis";
// For the prolog, which has no environment of the job; Slurm puts SPANK_ in front.
static const char PROLOG_IMAGE[] = "STOWAGE_PREFETCH", PROLOG_PULL[] = "STOWAGE_PREFETCH_PULL";

// What the options of this command gave, those of the current part of a heterogeneous job.
static struct option_values given;
// By which, the last of each.
static const struct option_switch *given_by[OPTION_COUNT];
// What holds for this step, in slurmstepd.
static struct option_values held;
static enum dialect held_dialect;
// What Slurm itself told slurmstepd.
static const char *told[OPTION_COUNT];
// Whether an image, or a container, was asked for by anything, good or bad.
static bool wanted;
// What held for the part before.
static struct option_values earlier;
static bool has_earlier;
// What the job around this command and the variables gave, as it was when the command began.
static struct option_values job, variables;
static enum dialect job_dialect;
static const struct settings *site;
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

// Of two ways to say the same, both may be used if they say the same.
static int check_both(const struct option_switch *option, const char *before, struct error *err) {
    const struct option_switch *other = given_by[option->id];
    if (!other || other->dialect == option->dialect || option_rules[option->id].adds_up ||
        strcmp(before, given.text[option->id]) == 0)
        return 0;
    return error_set(err, "--%s and --%s are given and say different things; leave one of them out",
                     other->name, option->name);
}

static int give(const struct option_switch *option, const char *argument, struct error *err) {
    cleanup_free char *value = NULL;
    if (switch_value(option, argument, &value, err) != 0)
        return -1;
    if (!value)
        return 0;
    const char *earlier_text = given.text[option->id];
    cleanup_free char *before = strdup(earlier_text ? earlier_text : "");
    if (!before)
        return error_errno(err, "--%s", option->name);
    if (option_values_take(&given, option->id, value, working_directory(), err) != 0)
        return switch_blame(option, err);
    if (check_both(option, before, err) != 0)
        return -1;
    // Of two that say the same, pyxis's, by which its defaults hold.
    const struct option_switch *other = given_by[option->id];
    if (!other || other->dialect != DIALECT_PYXIS || option_rules[option->id].adds_up)
        given_by[option->id] = option;
    return 0;
}

static void take(const struct option_switch *option, const char *argument) {
    struct error err;
    if (give(option, argument, &err) != 0 && !has_problem) {
        has_problem = true;
        problem = err;
    }
}

// Bad ones as they are, to be found bad later.
static char *own_terms(const struct option_switch *option, const char *argument) {
    struct error ignored;
    char *value = NULL;
    return switch_value(option, argument, &value, &ignored) == 0 ? value : strdup(argument ? argument : "");
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
    if (option->id == OPTION_COUNT)
        return 0;
    note_wanted(option->id);
    if (remote)
        told[option->id] = own_terms(option, argument);
    else if (!is_inherited(index, argument ? argument : ""))
        take(option, argument);
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
        if (option->id == OPTION_COUNT)
            continue;
        const char *text = inherited_text(option), *left = variable_of(option->id, CARRIER);
        if (job.text[option->id] || (!text && !is_step))
            continue;
        if (left)
            remember(&job, option->id, left);
        else if (text)
            job.text[option->id] = own_terms(option, text);
    }
    const char *dialect = getenv(DIALECT_CARRIER);
    job_dialect = dialect && strcmp(dialect, PYXIS) == 0 ? DIALECT_PYXIS : DIALECT_STOWAGE;
    remember_inherited();
    for (enum option_id id = 0; id < OPTION_COUNT; id++)
        remember(&variables, id, variable_of(id, ""));
}

static bool is_spoken(enum dialect dialect) {
    if (dialect == DIALECT_PYXIS && spank_context() == S_CTX_ALLOCATOR && !site->pyxis.sbatch_support)
        return false;
    return site->speaks[dialect];
}

// Another plugin's may be in the place of our own.
static bool is_replaced(const struct option_switch *option) {
    for (int i = 0; option->dialect == DIALECT_STOWAGE && i < SWITCH_COUNT; i++) {
        const struct option_switch *other = &option_switches[i];
        if (other != option && is_spoken(other->dialect) && strcmp(other->name, option->name) == 0)
            return true;
    }
    return false;
}

void image_options_register(spank_t spank, const struct settings *settings) {
    site = settings;
    for (int i = 0; i < SWITCH_COUNT; i++) {
        const struct option_switch *option = &option_switches[i];
        if (!is_spoken(option->dialect) || is_replaced(option))
            continue;
        struct spank_option slurms = {.name = (char *)option->name,
                                      .arginfo = (char *)option->argument,
                                      .usage = (char *)option->usage,
                                      .has_arg = option->argument ? 1 + option->argument_is_optional : 0,
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
        // What adds up does not, there.
        if (!job.text[id] && !given.text[id] && is_spoken(DIALECT_PYXIS) &&
            compat_variables_take(sum, id, working_directory(), err) != 0)
            return -1;
    }
    return 0;
}

static bool is_pyxis(const struct option_values *sum, enum option_id id) {
    if (given.text[id])
        return given_by[id]->dialect == DIALECT_PYXIS;
    if (job.text[id])
        return job_dialect == DIALECT_PYXIS;
    return sum->text[id] && !variables.text[id];
}

static enum dialect dialect_of(const struct option_values *sum) {
    return is_pyxis(sum, OPTION_IMAGE) || is_pyxis(sum, OPTION_NAME) ? DIALECT_PYXIS : DIALECT_STOWAGE;
}

static int take_defaults(struct option_values *sum, struct error *err) {
    if (dialect_of(sum) != DIALECT_PYXIS)
        return 0;
    return pyxis_defaults_take(sum, &site->pyxis, spank_context() == S_CTX_ALLOCATOR, err);
}

// An option is of use with an image only. Variables may be set for other commands.
static int check_use(const struct option_values *sum, struct error *err) {
    if (sum->text[OPTION_IMAGE] || sum->text[OPTION_NAME])
        return option_variables_check(environ, "", err);
    for (enum option_id id = 0; id < OPTION_COUNT; id++) {
        if (!given.text[id])
            continue;
        bool pyxis = given_by[id]->dialect == DIALECT_PYXIS;
        return error_set(err, "%s--%s is of use with %s only; say which image", pyxis ? "pyxis: " : "",
                         given_by[id]->name, pyxis ? "--container-image or --container-name" : "--image");
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
        given_by[id] ? given_by[id]->name : option_rules[id].name,
        spank_context() == S_CTX_LOCAL ? "srun" : "job");
}

static bool is_relative(const char *image) {
    struct image_source source;
    struct error ignored;
    return image && image_source_parse(image, &source, &ignored) == 0 && source.scheme != IMAGE_REGISTRY &&
           source.scheme != IMAGE_ENVIRONMENT && source.location[0] != '/' && source.location[0] != '~';
}

// A relative path means the same wherever in the job a command is run.
static int remember_directory(const struct option_values *sum, struct error *err) {
    bool is_of_job = !given.text[OPTION_IMAGE] && job.text[OPTION_IMAGE];
    const char *here = is_of_job ? NULL : sum->text[OPTION_IMAGE];
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
    if (dialect_of(sum) == DIALECT_PYXIS)
        setenv(DIALECT_CARRIER, PYXIS, 1);
    else
        unsetenv(DIALECT_CARRIER);
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
    memset(given_by, 0, sizeof given_by);
    inherited_known = false;
}

int image_options_conclude(spank_t spank, struct error *err) {
    if (has_problem) {
        *err = problem;
        return -1;
    }
    struct option_values sum = {0};
    if (sum_up(&sum, err) != 0 || check_use(&sum, err) != 0 || take_defaults(&sum, err) != 0 ||
        check_parts(&sum, err) != 0 || remember_directory(&sum, err) != 0) {
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
    char **environment;
    if (result == 0 && wanted && spank_get_item(spank, S_JOB_ENV, &environment) == ESPANK_SUCCESS)
        result = option_variables_check(environment, CARRIER, err);
    char dialect[sizeof PYXIS];
    if (spank_getenv(spank, DIALECT_CARRIER, dialect, sizeof dialect) == ESPANK_SUCCESS &&
        strcmp(dialect, PYXIS) == 0)
        held_dialect = DIALECT_PYXIS;
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
        if (option_switches[i].id == id && option_switches[i].dialect == DIALECT_STOWAGE &&
            spank_option_getopt(spank, &slurms, &text) == ESPANK_SUCCESS)
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

bool image_options_are_pyxis(void) {
    return held_dialect == DIALECT_PYXIS;
}

bool image_options_name_variable(const char *name) {
    const char *text = held.text[OPTION_ENV];
    for (; text; text = strchr(text, '\n') ? strchr(text, '\n') + 1 : NULL) {
        cleanup_free char *line = strndup(text, strcspn(text, "\n"));
        if (line && env_spec_has(line, name))
            return true;
    }
    return false;
}

void image_options_forget_once(spank_t spank) {
    char name[2 * OPTION_VARIABLE_MAX];
    option_variable(OPTION_SAVE, CARRIER, name);
    spank_unsetenv(spank, name);
    option_variable(OPTION_SAVE, "", name);
    spank_unsetenv(spank, name);
    spank_unsetenv(spank, "PYXIS_CONTAINER_SAVE");
    for (int i = 0; i < SWITCH_COUNT; i++) {
        if (option_switches[i].id != OPTION_SAVE)
            continue;
        switch_inherited_variable(&option_switches[i], name);
        spank_unsetenv(spank, name);
    }
}
