#include "environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int append(char ***list, size_t *count, char *text, struct error *err) {
    char **grown = text ? realloc(*list, (*count + 1) * sizeof *grown) : NULL;
    if (!grown) {
        free(text);
        return error_errno(err, "cannot hold the environment");
    }
    grown[(*count)++] = text;
    *list = grown;
    return 0;
}

static bool names(const char *entry, const char *name, size_t length) {
    return strncmp(entry, name, length) == 0 && (entry[length] == '=' || entry[length] == '\0');
}

static size_t find(char *const *list, size_t count, const char *name, size_t length) {
    size_t i = 0;
    while (i < count && !names(list[i], name, length))
        i++;
    return i;
}

static bool is_of_the_job(const char *name, size_t length) {
    static const char *const PREFIXES[] = {"SLURM_", "SLURMD_", "PMI_", "PMIX_", "STOWAGE_"};
    for (size_t i = 0; i < sizeof PREFIXES / sizeof *PREFIXES; i++) {
        if (length >= strlen(PREFIXES[i]) && memcmp(name, PREFIXES[i], strlen(PREFIXES[i])) == 0)
            return true;
    }
    return false;
}

bool environment_sets(const struct environment *environment, const char *name) {
    return find(environment->set, environment->set_count, name, strlen(name)) < environment->set_count;
}

// Whether the job has it, and keeps it.
static bool job_has(char *const *job, const struct environment *environment, const char *name) {
    size_t length = strlen(name), count = 0;
    while (job[count])
        count++;
    return find(job, count, name, length) < count &&
           find(environment->unset, environment->unset_count, name, length) == environment->unset_count;
}

int environment_from_plan(struct environment *environment, const Stowage__V1__ContainerPlan *plan,
                          char *const *job, struct error *err) {
    struct environment read = {0};
    int result = 0;
    for (size_t i = 0; result == 0 && i < plan->n_unset_environment; i++)
        result = append(&read.unset, &read.unset_count, strdup(plan->unset_environment[i]), err);
    for (size_t i = 0; result == 0 && i < plan->n_environment; i++) {
        const Stowage__V1__EnvironmentVariable *variable = plan->environment[i];
        char *entry = NULL;
        if (variable->unless_set && job_has(job, &read, variable->name))
            continue;
        if (asprintf(&entry, "%s=%s", variable->name, variable->value) < 0)
            entry = NULL;
        result = append(&read.set, &read.set_count, entry, err);
    }
    if (result != 0)
        environment_release(&read);
    else
        *environment = read;
    return result;
}

int environment_set(struct environment *environment, const char *name, size_t name_length, const char *value,
                    struct error *err) {
    if (name_length == 0 || is_of_the_job(name, name_length))
        return 0;
    char *entry = NULL;
    if (asprintf(&entry, "%.*s=%s", (int)name_length, name, value) < 0)
        return error_errno(err, "cannot hold the environment");
    size_t at = find(environment->set, environment->set_count, name, name_length);
    if (at == environment->set_count)
        return append(&environment->set, &environment->set_count, entry, err);
    free(environment->set[at]);
    environment->set[at] = entry;
    return 0;
}

int environment_unset(struct environment *environment, const char *name, size_t name_length,
                      struct error *err) {
    if (name_length == 0 || is_of_the_job(name, name_length))
        return 0;
    size_t at = find(environment->set, environment->set_count, name, name_length);
    if (at < environment->set_count) {
        free(environment->set[at]);
        environment->set[at] = environment->set[--environment->set_count];
    }
    if (find(environment->unset, environment->unset_count, name, name_length) < environment->unset_count)
        return 0;
    return append(&environment->unset, &environment->unset_count, strndup(name, name_length), err);
}

int environment_merge(struct environment *environment, const struct environment *further, struct error *err) {
    for (size_t i = 0; i < further->unset_count; i++) {
        if (environment_unset(environment, further->unset[i], strlen(further->unset[i]), err) != 0)
            return -1;
    }
    for (size_t i = 0; i < further->set_count; i++) {
        const char *entry = further->set[i];
        size_t length = strcspn(entry, "=");
        if (environment_set(environment, entry, length, entry + length + 1, err) != 0)
            return -1;
    }
    return 0;
}

char **environment_apply(const struct environment *environment, char **job, struct error *err) {
    size_t count = 0, kept = 0;
    while (job[count])
        count++;
    char **applied = calloc(count + environment->set_count + 1, sizeof *applied);
    if (!applied) {
        error_errno(err, "cannot hold the environment");
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        size_t length = strcspn(job[i], "=");
        if (find(environment->unset, environment->unset_count, job[i], length) == environment->unset_count &&
            find(environment->set, environment->set_count, job[i], length) == environment->set_count)
            applied[kept++] = job[i];
    }
    for (size_t i = 0; i < environment->set_count; i++)
        applied[kept++] = environment->set[i];
    return applied;
}

void environment_release(struct environment *environment) {
    for (size_t i = 0; i < environment->unset_count; i++)
        free(environment->unset[i]);
    for (size_t i = 0; i < environment->set_count; i++)
        free(environment->set[i]);
    free(environment->unset);
    free(environment->set);
    *environment = (struct environment){0};
}
