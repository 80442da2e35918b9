#include "step_options.h"
#include "carriers.h"
#include "cleanup.h"
#include "env_spec.h"
#include "option_values.h"
#include "slurm_switches.h"
#include "switches.h"

#include <string.h>

// What holds for this step.
static struct option_values held;
static enum dialect held_dialect;
// What Slurm itself told.
static const char *told[OPTION_COUNT];
// Whether a container was asked for by anything, good or bad.
static bool wanted;

static void note_wanted(enum option_id id) {
    wanted = wanted || option_wants_container(id);
}

// Slurm would say something in a log for a callback that fails.
static int on_option(int index, const char *argument, int remote) {
    (void)remote;
    const struct option_switch *option = &option_switches[index];
    if (option->id == OPTION_COUNT)
        return 0;
    note_wanted(option->id);
    told[option->id] = switch_value_or_text(option, argument);
    return 0;
}

void step_options_register(spank_t spank, const struct settings *settings) {
    slurm_switches_register(spank, settings, on_option);
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
    option_variable(id, CARRIER_PREFIX, name);
    spank_err_t found = spank_getenv(spank, name, value, sizeof value);
    if (found == ESPANK_ENV_NOEXIST)
        return told[id] ? trust_slurm(id, err) : 0;
    note_wanted(id);
    if (found != ESPANK_SUCCESS)
        return error_set(err, "the variable %s is longer than %d bytes", name, OPTION_TEXT_MAX - 1);
    return option_values_take_lines(&held, id, value, "/", err);
}

int step_options_receive(spank_t spank, struct error *err) {
    int result = 0;
    // All of them even if one is bad: whether the step runs in an image must be known.
    for (enum option_id id = 0; id < OPTION_COUNT; id++) {
        if (receive(spank, id, result == 0 ? err : &(struct error){0}) != 0)
            result = -1;
    }
    char **environment;
    if (result == 0 && wanted && spank_get_item(spank, S_JOB_ENV, &environment) == ESPANK_SUCCESS)
        result = option_variables_check(environment, CARRIER_PREFIX, err);
    char dialect[sizeof CARRIED_PYXIS];
    if (spank_getenv(spank, DIALECT_CARRIER, dialect, sizeof dialect) == ESPANK_SUCCESS &&
        strcmp(dialect, CARRIED_PYXIS) == 0)
        held_dialect = DIALECT_PYXIS;
    return result;
}

bool step_options_wanted(void) {
    return wanted;
}

bool step_options_include_batch(bool by_default) {
    return held.text[OPTION_BATCH] ? option_values_is_yes(&held, OPTION_BATCH) : by_default;
}

int step_options_read(struct step_choice *choice, struct error *err) {
    struct step_choice read = {.image = held.text[OPTION_IMAGE] ? held.text[OPTION_IMAGE] : "",
                               .show_digest = option_values_is_yes(&held, OPTION_SHOW_DIGEST)};
    if (held.text[OPTION_PULL] && pull_policy_parse(held.text[OPTION_PULL], &read.pull, err) != 0)
        return -1;
    read.options = option_values_for_helper(&held);
    if (!read.options)
        return error_errno(err, "cannot hold the options");
    *choice = read;
    return 0;
}

bool step_options_are_pyxis(void) {
    return held_dialect == DIALECT_PYXIS;
}

bool step_options_name_variable(const char *name) {
    const char *text = held.text[OPTION_ENV];
    for (; text; text = strchr(text, '\n') ? strchr(text, '\n') + 1 : NULL) {
        cleanup_free char *line = strndup(text, strcspn(text, "\n"));
        if (line && env_spec_has(line, name))
            return true;
    }
    return false;
}

void step_options_forget_once(spank_t spank) {
    char name[2 * OPTION_VARIABLE_MAX];
    option_variable(OPTION_SAVE, CARRIER_PREFIX, name);
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
