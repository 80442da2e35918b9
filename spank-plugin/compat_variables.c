#include "compat_variables.h"
#include "cleanup.h"
#include "compat_pyxis.h"
#include "switches.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has_variable(const struct option_switch *option) {
    return option->dialect == DIALECT_PYXIS && strncmp(option->name, "no-", 3) != 0;
}

static void variable_name(const struct option_switch *option, char name[OPTION_VARIABLE_MAX]) {
    snprintf(name, OPTION_VARIABLE_MAX, "PYXIS_%s", option->name);
    for (char *at = name; *at; at++)
        *at = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
}

// What a variable with this text gives our own option.
static int read_value(const struct option_switch *option, const char *text, char **value, struct error *err) {
    if (!option->value)
        return switch_value(option, text, value, err);
    const char *flag = pyxis_flag_value(text);
    if (!flag)
        return error_set(err, "\"%.100s\" is neither 0 nor 1", text);
    bool is_opposite = strcmp(flag, "no") == 0;
    const char *given = option->value;
    if (is_opposite)
        given = strcmp(option->value, "yes") == 0 ? "no" : "yes";
    *value = strdup(given);
    return *value ? 0 : error_errno(err, "it cannot be held");
}

static int take(struct option_values *values, const struct option_switch *option, const char *text,
                const char *directory, struct error *err) {
    cleanup_free char *value = NULL;
    if (read_value(option, text, &value, err) != 0)
        return -1;
    const char *before = values->text[option->id];
    cleanup_free char *earlier = before && !option_rules[option->id].adds_up ? strdup(before) : NULL;
    if (option_values_take(values, option->id, value, directory, err) != 0)
        return switch_blame(option, err);
    if (earlier && strcmp(earlier, values->text[option->id]) != 0)
        return error_set(err, "another variable says otherwise; unset one of them");
    return 0;
}

int compat_variables_take(struct option_values *values, enum option_id id, const char *directory,
                          struct error *err) {
    for (int i = 0; i < SWITCH_COUNT; i++) {
        const struct option_switch *option = &option_switches[i];
        char name[OPTION_VARIABLE_MAX];
        if (option->id != id || !has_variable(option))
            continue;
        variable_name(option, name);
        const char *text = getenv(name);
        if (text && take(values, option, text, directory, err) != 0)
            return error_wrap(err, "the variable %s", name);
    }
    return 0;
}
