#include "root_user.h"
#include "cleanup.h"
#include "in_root.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

// apt downloads and verifies as the user _apt, and checks that it has become that.
static int keep_apt_root(int root, struct error *err) {
    static const char PATH[] = "/etc/apt/apt.conf.d/99stowage-root";
    static const char SETTING[] = "// Of srun --image-root: there is only one user.\n"
                                  "APT::Sandbox::User \"root\";\n";
    cleanup_close int apt = in_root_open(root, "/etc/apt", O_PATH | O_DIRECTORY);
    if (apt < 0)
        return 0;
    cleanup_close int file = in_root_replace(root, PATH, 0644, err);
    if (file < 0)
        return -1;
    if (write(file, SETTING, strlen(SETTING)) != (ssize_t)strlen(SETTING))
        return error_errno(err, "cannot write %s in the container", PATH);
    return 0;
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
