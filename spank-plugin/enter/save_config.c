#include "save_config.h"
#include "cleanup.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>

// As Go, and therefore OCI, calls what uname(2) says.
static const char *architecture(void) {
    static const char *const NAMES[][2] = {
        {"x86_64", "amd64"}, {"aarch64", "arm64"}, {"i686", "386"}, {"armv7l", "arm"}};
    static struct utsname name;
    uname(&name);
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        if (strcmp(name.machine, NAMES[i][0]) == 0)
            return NAMES[i][1];
    }
    return name.machine;
}

// "linux/arm64/v8"
static void set_platform(json_t *document, const char *platform) {
    char text[128];
    snprintf(text, sizeof text, "%s", platform && platform[0] ? platform : "");
    char *rest = text;
    char *os = strsep(&rest, "/");
    char *machine = strsep(&rest, "/");
    json_object_set_new(document, "os", json_string(machine ? os : "linux"));
    json_object_set_new(document, "architecture", json_string(machine ? machine : architecture()));
    if (rest)
        json_object_set_new(document, "variant", json_string(rest));
}

// Bytes that are no UTF-8 cannot be written in JSON.
static json_t *environment_of(const Stowage__V1__ContainerPlan *plan) {
    json_t *list = json_array();
    for (size_t i = 0; i < plan->n_environment; i++) {
        const Stowage__V1__EnvironmentVariable *variable = plan->environment[i];
        bool is_of_step = strncmp(variable->name, "STOWAGE_", 8) == 0;
        if (!is_of_step)
            json_array_append_new(list, json_sprintf("%s=%s", variable->name, variable->value));
    }
    return list;
}

static void set_list(json_t *object, const char *key, char **texts, size_t count) {
    if (count == 0)
        return;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_string(texts[i]));
    json_object_set_new(object, key, list);
}

static void set_text(json_t *object, const char *key, const char *text) {
    if (text && text[0])
        json_object_set_new(object, key, json_string(text));
}

static json_t *describe(const Stowage__V1__ContainerPlan *plan) {
    json_t *document = json_object(), *config = json_object();
    json_object_set_new(config, "Env", environment_of(plan));
    if (plan->config) {
        set_text(config, "User", plan->config->user);
        set_text(config, "WorkingDir", plan->config->working_directory);
        set_list(config, "Entrypoint", plan->config->entrypoint, plan->config->n_entrypoint);
        set_list(config, "Cmd", plan->config->command, plan->config->n_command);
    }
    set_platform(document, plan->config ? plan->config->platform : NULL);
    json_object_set_new(document, "config", config);
    return document;
}

int save_config_open(const Stowage__V1__ContainerPlan *plan, struct error *err) {
    json_t *document = describe(plan);
    cleanup_close int fd = memfd_create("stowage-config", MFD_CLOEXEC);
    int written = fd < 0 ? -1 : json_dumpfd(document, fd, JSON_COMPACT);
    json_decref(document);
    if (written != 0 || lseek(fd, 0, SEEK_SET) != 0)
        return error_errno(err, "cannot hold the image's configuration");
    return steal_fd(&fd);
}
