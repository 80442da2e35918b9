#include "command_options.h"
#include "carriers.h"
#include "cleanup.h"
#include "compat_variables.h"
#include "image_source.h"
#include "inherited_options.h"
#include "option_values.h"
#include "pyxis_defaults.h"
#include "slurm_switches.h"
#include "switches.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct settings *site;
// What the variables STOWAGE_IMAGE… gave, as it was when the command began.
static struct option_values variables;
// What the options of this command gave, those of the current part of a heterogeneous job.
static struct option_values given;
// By which, the last of each.
static const struct option_switch *given_by[OPTION_COUNT];
// What held for the part before.
static struct option_values earlier;
static bool has_earlier;
// Whether a container was asked for by anything, good or bad.
static bool wanted;
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

// Slurm ends the command for a callback that fails; so none does.
static int on_option(int index, const char *argument, int remote) {
    (void)remote;
    const struct option_switch *option = &option_switches[index];
    if (option->id == OPTION_COUNT)
        return 0;
    wanted = wanted || option_wants_container(option->id);
    // It is in inherited_options() already, with all that Slurm does not know of.
    if (!inherited_options_are_told(index, argument ? argument : ""))
        take(option, argument);
    return 0;
}

static void read_variables(void) {
    for (enum option_id id = 0; id < OPTION_COUNT; id++) {
        char name[OPTION_VARIABLE_MAX];
        option_variable(id, "", name);
        const char *text = getenv(name);
        variables.text[id] = text ? strdup(text) : NULL;
    }
}

void command_options_register(spank_t spank, const struct settings *settings) {
    site = settings;
    slurm_switches_register(spank, settings, on_option);
    inherited_options_read();
    read_variables();
}

bool command_options_wanted(void) {
    return wanted;
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
    const struct option_values *job = inherited_options();
    for (enum option_id id = 0; id < OPTION_COUNT; id++) {
        bool all = option_rules[id].adds_up;
        if ((all || (!job->text[id] && !given.text[id])) && take_variable(sum, id, err) != 0)
            return -1;
        if ((all || !given.text[id]) &&
            option_values_take_lines(sum, id, job->text[id], working_directory(), err) != 0)
            return -1;
        if (option_values_take_lines(sum, id, given.text[id], working_directory(), err) != 0)
            return -1;
        // What adds up does not, there.
        if (!job->text[id] && !given.text[id] && slurm_switches_has(site, DIALECT_PYXIS) &&
            compat_variables_take(sum, id, working_directory(), err) != 0)
            return -1;
    }
    return 0;
}

static bool is_pyxis(const struct option_values *sum, enum option_id id) {
    if (given.text[id])
        return given_by[id]->dialect == DIALECT_PYXIS;
    if (inherited_options()->text[id])
        return inherited_options_dialect() == DIALECT_PYXIS;
    // What is left are pyxis's variables.
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
    bool is_of_job = !given.text[OPTION_IMAGE] && inherited_options()->text[OPTION_IMAGE];
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
        option_variable(id, CARRIER_PREFIX, name);
        if (sum->text[id])
            setenv(name, sum->text[id], 1);
        else
            unsetenv(name);
    }
    if (dialect_of(sum) == DIALECT_PYXIS)
        setenv(DIALECT_CARRIER, CARRIED_PYXIS, 1);
    else
        unsetenv(DIALECT_CARRIER);
    // Without them, the prolog does nothing.
    if (sum->text[OPTION_IMAGE])
        spank_job_control_setenv(spank, PROLOG_IMAGE_CARRIER, sum->text[OPTION_IMAGE], 1);
    if (sum->text[OPTION_PULL])
        spank_job_control_setenv(spank, PROLOG_PULL_CARRIER, sum->text[OPTION_PULL], 1);
}

// The next part of a heterogeneous job begins.
static void begin_part(struct option_values *sum) {
    option_values_clear(&earlier);
    earlier = *sum;
    has_earlier = true;
    option_values_clear(&given);
    memset(given_by, 0, sizeof given_by);
    inherited_options_begin_part();
}

int command_options_conclude(spank_t spank, struct error *err) {
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
    wanted = wanted || sum.text[OPTION_IMAGE] || sum.text[OPTION_NAME];
    leave(spank, &sum);
    begin_part(&sum);
    return 0;
}
