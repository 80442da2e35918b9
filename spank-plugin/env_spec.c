#include "env_spec.h"
#include "cleanup.h"
#include "escaped_text.h"

#include <stdbool.h>
#include <string.h>

enum { SHOWN_MAX = 100 };

static const char LETTERS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
static const char LATER[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789.-";

// These tell a rank which one it is.
static bool is_job_own(const char *name) {
    static const char *const PREFIXES[] = {"SLURM_", "SLURMD_", "PMI_", "PMI2_", "PMIX_", "STOWAGE_"};
    for (size_t i = 0; i < sizeof PREFIXES / sizeof *PREFIXES; i++) {
        if (strncmp(name, PREFIXES[i], strlen(PREFIXES[i])) == 0)
            return true;
    }
    return false;
}

static int check_name(const char *name, struct error *err) {
    if (name[0] == '\0')
        return error_set(err, "--image-env: the name of a variable is missing; write NAME=VALUE");
    if (!strchr(LETTERS, name[0]) || name[strspn(name, LATER)] != '\0')
        return error_set(
            err, "--image-env: \"%.*s\" is no name of a variable; for a \",\" in a value write \"\\,\"",
            SHOWN_MAX, name);
    if (is_job_own(name))
        return error_set(
            err, "--image-env: %.*s is Slurm's, or Stowage's, and tells a rank what it is; leave it out",
            SHOWN_MAX, name);
    return 0;
}

int env_spec_check(const char *text, struct error *err) {
    cleanup_free char *copy = strdup(text);
    if (!copy)
        return error_errno(err, "--image-env");
    for (char *rest = copy; rest;) {
        char *value = escaped_take(&rest, ',');
        char *name = strsep(&value, "=");
        if (check_name(name, err) != 0)
            return -1;
        if (value && escaped_resolve(value, err) != 0)
            return error_wrap(err, "--image-env: %.*s", SHOWN_MAX, name);
    }
    return 0;
}

bool env_spec_has(const char *text, const char *name) {
    size_t length = strlen(name);
    for (;; text++) {
        if (strncmp(text, name, length) == 0 && (text[length] == '\0' || strchr("=,", text[length])))
            return true;
        text = escaped_end(text, ',');
        if (*text == '\0')
            return false;
    }
}
