#include "environment_difference.h"

#include <string.h>

enum {
    // Far more than a program has use for; each is looked for among all.
    VARIABLES_MAX = 4096,
    // The kernel's MAX_ARG_STRLEN: no program starts with a longer one.
    VARIABLE_MAX_BYTES = 128 * 1024,
};

int environment_add_variable(struct environment *environment, const char *name, size_t name_length,
                             const char *value, struct error *err) {
    if (environment->set_count >= VARIABLES_MAX)
        return error_set(err, "it sets more than %d variables", VARIABLES_MAX);
    if (name_length + strlen(value) + sizeof "=" > VARIABLE_MAX_BYTES)
        return error_set(err, "%.*s is longer than %d bytes", name_length < 100 ? (int)name_length : 100,
                         name, VARIABLE_MAX_BYTES);
    return environment_set(environment, name, name_length, value, err);
}

// What every shell sets for itself.
static bool is_of_the_shell(const char *entry) {
    static const char *const NAMES[] = {"PWD=", "OLDPWD=", "SHLVL=", "_="};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        if (strncmp(entry, NAMES[i], strlen(NAMES[i])) == 0)
            return true;
    }
    return false;
}

static bool lists(char *const *entries, const char *entry, size_t length) {
    for (; *entries; entries++) {
        if (strncmp(*entries, entry, length) == 0)
            return true;
    }
    return false;
}

int environment_add_difference(struct environment *environment, char *const *before, const char *after,
                               size_t after_bytes, struct error *err) {
    const char *end = after + after_bytes;
    for (const char *entry = after; entry < end; entry += strlen(entry) + 1) {
        const char *equals = strchr(entry, '=');
        if (!equals || is_of_the_shell(entry) || lists(before, entry, strlen(entry) + 1))
            continue;
        if (environment_add_variable(environment, entry, (size_t)(equals - entry), equals + 1, err) != 0)
            return -1;
    }
    for (; *before; before++) {
        size_t length = strcspn(*before, "=");
        bool kept = is_of_the_shell(*before);
        for (const char *entry = after; !kept && entry < end; entry += strlen(entry) + 1)
            kept = strncmp(entry, *before, length + 1) == 0;
        if (!kept && environment_unset(environment, *before, length, err) != 0)
            return -1;
    }
    return 0;
}
