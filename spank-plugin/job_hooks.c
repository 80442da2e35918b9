// The hooks that Slurm calls in slurmd for the prolog and the epilog of a job, as root.
#include "job_helper.h"
#include "job_options.h"
#include "settings.h"
#include "tree_directory.h"

#include <slurm/spank.h>
#include <stdbool.h>

// What a job's prolog or epilog knows of the job. Slurm calls no slurm_spank_init before either.
static int read_job(spank_t spank, int argc, char **argv, struct settings *settings, uid_t *uid,
                    uint32_t *job_id, struct error *err) {
    if (settings_read(settings, argc, argv, err) != 0)
        return -1;
    if (spank_get_item(spank, S_JOB_UID, uid) != ESPANK_SUCCESS ||
        spank_get_item(spank, S_JOB_ID, job_id) != ESPANK_SUCCESS)
        return error_set(err, "Slurm does not say which job this is");
    return 0;
}

// Whether the image may have to be downloaded, and nothing speaks against it.
static bool is_worth_prefetching(const struct job_choice *choice) {
    enum image_scheme scheme = choice->source.scheme;
    // What an environment stands for, the helper finds out.
    return (scheme == IMAGE_REGISTRY || scheme == IMAGE_ENVIRONMENT) && choice->pull != PULL_NEVER;
}

int slurm_spank_job_prolog(spank_t spank, int argc, char **argv) {
    uid_t uid;
    gid_t gid;
    uint32_t job_id;
    struct settings settings;
    struct job_choice choice;
    struct error err;
    // Whatever goes wrong, the first step says it: a prolog that fails drains the node.
    if (read_job(spank, argc, argv, &settings, &uid, &job_id, &err) != 0 || !settings.prefetch || uid == 0 ||
        job_options_read(spank, &choice, &err) != 0 || !is_worth_prefetching(&choice))
        return 0;
    if (spank_get_item(spank, S_JOB_GID, &gid) == ESPANK_SUCCESS &&
        tree_directory_make(settings.trees, uid, gid, &err) == 0)
        job_helper_prefetch(&settings, choice.image, choice.pull, job_id, uid, gid, &err);
    return 0;
}

int slurm_spank_job_epilog(spank_t spank, int argc, char **argv) {
    uid_t uid;
    gid_t gid;
    uint32_t job_id;
    struct settings settings;
    struct error err;
    int found = read_job(spank, argc, argv, &settings, &uid, &job_id, &err);
    if (found == 0)
        found = tree_directory_find(settings.trees, uid, &gid, &err);
    if (found < 0 || (found > 0 && job_helper_sweep(&settings, job_id, uid, gid, &err) != 0))
        slurm_error("stowage: %s", err.text);
    // An epilog that fails drains the node; trees that stay behind are only memory.
    return 0;
}
