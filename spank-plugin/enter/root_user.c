#include "root_user.h"
#include "cleanup.h"
#include "in_root.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char APT_PATH[] = "/etc/apt/apt.conf.d/99stowage-root";
static const char APT_SETTING[] = "// Of srun --image-root: there is only one user.\n"
                                  "APT::Sandbox::User \"root\";\n";

// apt downloads and verifies as the user _apt, and checks that it has become that.
static int keep_apt_root(int root, struct error *err) {
    cleanup_close int apt = in_root_open(root, "/etc/apt", O_PATH | O_DIRECTORY);
    if (apt < 0)
        return 0;
    cleanup_close int file = in_root_replace(root, APT_PATH, 0644, err);
    if (file < 0)
        return -1;
    if (write(file, APT_SETTING, strlen(APT_SETTING)) != (ssize_t)strlen(APT_SETTING))
        return error_errno(err, "cannot write %s in the container", APT_PATH);
    return 0;
}

static bool is_our_setting(int root) {
    char text[sizeof APT_SETTING];
    cleanup_close int file = in_root_open(root, APT_PATH, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    ssize_t got = file < 0 ? -1 : read(file, text, sizeof text);
    return got == (ssize_t)strlen(APT_SETTING) && memcmp(text, APT_SETTING, (size_t)got) == 0;
}

int root_user_undo(int root, struct error *err) {
    if (!is_our_setting(root))
        return 0;
    const char *name = strrchr(APT_PATH, '/') + 1;
    char parent[sizeof APT_PATH];
    snprintf(parent, sizeof parent, "%.*s", (int)(name - APT_PATH), APT_PATH);
    cleanup_close int directory = in_root_open(root, parent, O_PATH | O_DIRECTORY);
    return unlinkat(directory, name, 0) == 0 ? 0 : error_errno(err, "cannot remove %s", APT_PATH);
}

int root_user_prepare(int root, const struct account *account, struct error *err) {
    cleanup_close int home = in_root_make_directory(root, account->home, err);
    return home >= 0 ? keep_apt_root(root, err) : -1;
}

static int set_unless_set(struct environment *environment, const char *name, const char *value,
                          struct error *err) {
    if (environment_sets(environment, name))
        return 0;
    return environment_set(environment, name, strlen(name), value, err);
}

int root_user_environment(struct environment *environment, const struct account *account, struct error *err) {
    cleanup_free char *name = strndup(account->passwd_line, strcspn(account->passwd_line, ":"));
    if (!name)
        return error_errno(err, "cannot hold the environment");
    if (set_unless_set(environment, "HOME", account->home, err) != 0 ||
        set_unless_set(environment, "USER", name, err) != 0)
        return -1;
    return set_unless_set(environment, "LOGNAME", name, err);
}

// A PMIx server knows its clients by the uid that they say they have, and does not answer others at all.
void root_user_warn(struct progress *progress) {
    const char *tasks = getenv("SLURM_STEP_NUM_TASKS");
    if (getenv("PMIX_RANK") && tasks && strcmp(tasks, "1") != 0)
        progress_say(progress, "an MPI program that starts over PMIx waits forever as root; should this be "
                               "one, use --mpi=pmi2, or leave --image-root out");
}
