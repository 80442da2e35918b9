#include "hooks.h"
#include "cleanup.h"
#include "host_program.h"

#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

// Of a hook that sets no limit of its own.
enum { TIMEOUT_SECONDS = 60 };

static const char OCI_VERSION[] = "1.0.2";

static int root_path(int root, char path[PATH_MAX], struct error *err) {
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", root);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length <= 0)
        return error_errno(err, "cannot tell where the container's root is");
    path[length] = '\0';
    return 0;
}

static int write_json(json_t *document, const char *path, struct error *err) {
    FILE *out = document ? fopen(path, "we") : NULL;
    if (!out)
        return error_errno(err, "cannot write %s", path);
    int dumped = json_dumpf(document, out, 0);
    if (fclose(out) != 0 || dumped != 0)
        return error_errno(err, "cannot write %s", path);
    return 0;
}

// The directory around the root belongs to the step and is out of sight soon: it becomes the bundle, with as
// much of a configuration as hooks look at.
static int make_bundle(int root, char bundle[PATH_MAX], struct error *err) {
    char path[PATH_MAX], config[PATH_MAX];
    if (root_path(root, path, err) != 0)
        return -1;
    strcpy(bundle, path);
    *strrchr(bundle, '/') = '\0';
    if (snprintf(config, sizeof config, "%s/config.json", bundle) >= (int)sizeof config)
        return error_set(err, "the path of the container's root is too long");
    json_t *document =
        json_pack("{s:s, s:{s:s, s:b}}", "ociVersion", OCI_VERSION, "root", "path", path, "readonly", 0);
    int result = write_json(document, config, err);
    json_decref(document);
    return result;
}

static char *state_of(const char *bundle) {
    char id[32];
    snprintf(id, sizeof id, "stowage-%d", (int)getpid());
    json_t *state = json_pack("{s:s, s:s, s:s, s:i, s:s}", "ociVersion", OCI_VERSION, "id", id, "status",
                              "creating", "pid", (int)getpid(), "bundle", bundle);
    char *text = state ? json_dumps(state, JSON_COMPACT) : NULL;
    json_decref(state);
    return text;
}

static char **terminated(char *const *words, size_t count) {
    char **list = calloc(count + 1, sizeof *list);
    if (list && count > 0)
        memcpy(list, words, count * sizeof *list);
    return list;
}

static int run(const Stowage__V1__Hook *hook, const char *bundle, struct error *err) {
    cleanup_free char *state = state_of(bundle);
    cleanup_free char **arguments = terminated(hook->arguments, hook->n_arguments);
    cleanup_free char **environment = terminated(hook->environment, hook->n_environment);
    if (!state || !arguments || !environment)
        return error_errno(err, "its state cannot be held in memory");
    struct host_program program = {
        .path = hook->path,
        .arguments = arguments,
        .environment = environment,
        .input = state,
        .directory = bundle,
        .timeout_seconds = hook->timeout_seconds ? hook->timeout_seconds : TIMEOUT_SECONDS,
    };
    return host_program_run(&program, err);
}

int hooks_run(int root, const Stowage__V1__ContainerPlan *plan, struct error *err) {
    char bundle[PATH_MAX];
    if (plan->n_hooks == 0)
        return 0;
    if (make_bundle(root, bundle, err) != 0)
        return -1;
    for (size_t i = 0; i < plan->n_hooks; i++) {
        const Stowage__V1__Hook *hook = plan->hooks[i];
        if (run(hook, bundle, err) != 0)
            return error_wrap(err, "device %s: hook %s", hook->device, hook->path);
    }
    return 0;
}
