#include "option_rules.h"
#include "container_name.h"
#include "device_name.h"
#include "env_spec.h"
#include "image_source.h"
#include "mount_spec.h"
#include "nearest_name.h"
#include "pull_policy.h"
#include "save_path.h"
#include "unshare_spec.h"
#include "utf8.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static int check_image(const char *text, struct error *err) {
    struct image_source source;
    return image_source_parse(text, &source, err);
}

static int check_pull(const char *text, struct error *err) {
    enum pull_policy policy;
    return pull_policy_parse(text, &policy, err);
}

static int check_workdir(const char *text, struct error *err) {
    if (strlen(text) >= PATH_MAX)
        return error_set(err, "--image-workdir: the path is longer than %d bytes", PATH_MAX - 1);
    if (text[0] != '/' && strcmp(text, WORKDIR_OF_IMAGE) != 0)
        return error_set(
            err, "--image-workdir=%.200s: it must be an absolute path in the container, or \"image\"", text);
    return 0;
}

const struct option_rule option_rules[OPTION_COUNT] = {
    [OPTION_IMAGE] = {.name = "image", .check = check_image},
    [OPTION_PULL] = {.name = "image-pull", .check = check_pull},
    [OPTION_SHOW_DIGEST] = {.name = "image-show-digest", .is_flag = true},
    [OPTION_MOUNT] = {.name = "image-mount",
                      .adds_up = true,
                      .for_helper = true,
                      .check = mount_spec_check,
                      .anchor = mount_spec_anchor},
    [OPTION_WORKDIR] = {.name = "image-workdir", .for_helper = true, .check = check_workdir},
    [OPTION_ENV] = {.name = "image-env", .adds_up = true, .for_helper = true, .check = env_spec_check},
    [OPTION_HOME] = {.name = "image-home", .is_flag = true, .for_helper = true},
    [OPTION_WRITABLE] = {.name = "image-writable", .is_flag = true, .for_helper = true},
    [OPTION_ROOT] = {.name = "image-root", .is_flag = true, .for_helper = true},
    [OPTION_ENTRYPOINT] = {.name = "image-entrypoint", .is_flag = true, .for_helper = true},
    [OPTION_DEVICE] = {.name = "image-device",
                       .adds_up = true,
                       .for_helper = true,
                       .check = device_names_check},
    [OPTION_NAME] = {.name = "image-name", .for_helper = true, .check = container_name_check},
    [OPTION_SAVE] = {.name = "image-save",
                     .for_helper = true,
                     .check = save_path_check,
                     .anchor = save_path_anchor},
    [OPTION_UNSHARE] = {.name = "image-unshare", .for_helper = true, .check = unshare_spec_check},
    [OPTION_BATCH] = {.name = "image-batch", .is_flag = true},
};

bool option_wants_container(enum option_id id) {
    return id == OPTION_IMAGE || id == OPTION_NAME;
}

static bool has_control_characters(const char *text) {
    for (; *text; text++) {
        if (iscntrl((unsigned char)*text))
            return true;
    }
    return false;
}

int option_check(enum option_id id, const char *text, struct error *err) {
    const struct option_rule *rule = &option_rules[id];
    if (rule->is_flag)
        return option_flag_value(text)
                   ? 0
                   : error_set(err, "--%s: \"%.100s\" is neither yes nor no", rule->name, text);
    // It has sentences of its own for all of these.
    if (id == OPTION_IMAGE)
        return rule->check(text, err);
    if (text[0] == '\0')
        return error_set(err, "--%s needs a value", rule->name);
    if (strnlen(text, OPTION_TEXT_MAX) == OPTION_TEXT_MAX)
        return error_set(err, "--%s: the value is longer than %d bytes", rule->name, OPTION_TEXT_MAX - 1);
    if (has_control_characters(text))
        return error_set(err, "--%s: the value holds control characters", rule->name);
    if (!utf8_is_valid(text))
        return error_set(err, "--%s: the value is not in UTF-8", rule->name);
    return rule->check(text, err);
}

const char *option_flag_value(const char *text) {
    static const char *const YES[] = {"yes", "true", "1"}, *const NO[] = {"no", "false", "0"};
    for (size_t i = 0; i < sizeof YES / sizeof *YES; i++) {
        if (strcasecmp(text, YES[i]) == 0)
            return "yes";
        if (strcasecmp(text, NO[i]) == 0)
            return "no";
    }
    return NULL;
}

void option_variable(enum option_id id, const char *prefix, char name[OPTION_VARIABLE_MAX]) {
    snprintf(name, OPTION_VARIABLE_MAX, "%sSTOWAGE_%s", prefix, option_rules[id].name);
    for (char *at = name; *at; at++)
        *at = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
}

// What ranks are told, and so is in the environment of an srun inside a container.
static const char DIGEST_VARIABLE[] = "STOWAGE_IMAGE_DIGEST";

static int check_variable(const char *name, const char *prefix, struct error *err) {
    static char variables[OPTION_COUNT][OPTION_VARIABLE_MAX];
    const char *known[OPTION_COUNT];
    for (enum option_id id = 0; id < OPTION_COUNT; id++) {
        option_variable(id, prefix, variables[id]);
        known[id] = variables[id];
        if (strcmp(name, known[id]) == 0)
            return 0;
    }
    if (strcmp(name, DIGEST_VARIABLE) == 0)
        return 0;
    const char *nearest = nearest_name(name, known, OPTION_COUNT);
    return error_set(err, "there is no variable %s%s%s; correct or unset it", name,
                     nearest ? "; did you mean " : "", nearest ? nearest : "");
}

int option_variables_check(char *const *environment, const char *prefix, struct error *err) {
    char start[OPTION_VARIABLE_MAX];
    snprintf(start, sizeof start, "%sSTOWAGE_IMAGE_", prefix);
    for (; *environment; environment++) {
        if (strncmp(*environment, start, strlen(start)) != 0)
            continue;
        char name[OPTION_VARIABLE_MAX];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(*environment, "="), *environment);
        if (check_variable(name, prefix, err) != 0)
            return -1;
    }
    return 0;
}
