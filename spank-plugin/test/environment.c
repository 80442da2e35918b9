#include "enter/environment.h"
#include "tap.h"

#include <stdlib.h>

static char *JOB[] = {"HOME=/home/u", "PATH=/host", "KEPT=1", "SLURM_JOB_ID=7", "PATHS=2", NULL};

static bool has(char *const *list, size_t count, const char *entry) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i], entry) == 0)
            return true;
    }
    return false;
}

static struct environment of_a_plan(void) {
    char *unset[] = {"KEPT"};
    Stowage__V1__EnvironmentVariable path = STOWAGE__V1__ENVIRONMENT_VARIABLE__INIT;
    path.name = "PATH";
    path.value = "/bin";
    Stowage__V1__EnvironmentVariable further[4];
    Stowage__V1__EnvironmentVariable *set[] = {&path, &further[0], &further[1], &further[2], &further[3]};
    static char *const UNLESS_SET[] = {"HOME", "EDITOR", "PATHS", "KEPT"};
    for (size_t i = 0; i < 4; i++) {
        stowage__v1__environment_variable__init(&further[i]);
        further[i].name = UNLESS_SET[i];
        further[i].value = "image's";
        further[i].unless_set = true;
    }
    Stowage__V1__ContainerPlan plan = STOWAGE__V1__CONTAINER_PLAN__INIT;
    plan.n_unset_environment = 1;
    plan.unset_environment = unset;
    plan.n_environment = 5;
    plan.environment = set;
    struct environment environment;
    struct error err;
    ok(environment_from_plan(&environment, &plan, JOB, &err) == 0, "takes what the plan says");
    ok(has(environment.unset, environment.unset_count, "KEPT") &&
           has(environment.set, environment.set_count, "PATH=/bin"),
       "which is a removal and a setting");
    ok(!environment_sets(&environment, "HOME") && !environment_sets(&environment, "PATHS"),
       "leaves to the job what it has, if it only is to be set otherwise");
    ok(has(environment.set, environment.set_count, "EDITOR=image's"), "and sets what the job has not");
    ok(has(environment.set, environment.set_count, "KEPT=image's"), "or had, and may not keep");
    environment_unset(&environment, "EDITOR", 6, &err);
    free(environment.unset[--environment.unset_count]);
    ok(!environment_sets(&environment, "EDITOR") && environment_sets(&environment, "PATH"),
       "knows what it sets");
    return environment;
}

static void applies(const struct environment *environment) {
    struct error err;
    char **applied = environment_apply(environment, JOB, &err);
    size_t count = 0;
    while (applied && applied[count])
        count++;
    ok(count == 5 && has(applied, count, "PATH=/bin") && has(applied, count, "PATHS=2") &&
           has(applied, count, "KEPT=image's") && !has(applied, count, "KEPT=1"),
       "applies them to the environment of the job");
    free(applied);
}

int main(void) {
    struct environment environment = of_a_plan();
    struct error err;
    applies(&environment);
    environment_unset(&environment, "KEPT", 4, &err);

    environment_set(&environment, "PATH=ignored", 4, "/opt/bin", &err);
    ok(environment.set_count == 1 && has(environment.set, 1, "PATH=/opt/bin"), "sets over what was set");
    environment_set(&environment, "PATHS", 5, "3", &err);
    ok(environment.set_count == 2, "tells a name from one that starts with it");
    static const char *const OWN[] = {"SLURM_X", "SLURMD_X", "PMI_RANK", "PMIX_RANK", "STOWAGE_IMAGE", ""};
    for (size_t i = 0; i < sizeof OWN / sizeof *OWN; i++) {
        environment_set(&environment, OWN[i], strlen(OWN[i]), "1", &err);
        environment_unset(&environment, OWN[i], strlen(OWN[i]), &err);
    }
    ok(environment.set_count == 2 && environment.unset_count == 1, "leaves alone what is the job's own");
    environment_set(&environment, "SLURMX", 6, "1", &err);
    ok(environment.set_count == 3, "but not what only looks like it");

    environment_unset(&environment, "PATH", 4, &err);
    environment_unset(&environment, "PATH", 4, &err);
    ok(environment.set_count == 2 && environment.unset_count == 2, "removes what was set, once");

    struct environment further = {0};
    environment_set(&further, "PATH", 4, "/a=b", &err);
    environment_unset(&further, "PATHS", 5, &err);
    ok(environment_merge(&environment, &further, &err) == 0 &&
           has(environment.set, environment.set_count, "PATH=/a=b") &&
           !has(environment.set, environment.set_count, "PATHS=3"),
       "merges further changes");
    environment_release(&further);
    environment_release(&environment);
    return tap_done();
}
