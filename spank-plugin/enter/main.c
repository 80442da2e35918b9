// stowage-enter: gets the image of one step onto this node and builds the container that the ranks then join.
// Runs as the job's user, in the step's cgroup; started by the plugin, and by hand only to see what it says.
// enter_image() is steps 3 to 8 of docs/path-of-an-image.md.
#include "account.h"
#include "bind_mount.h"
#include "cleanup.h"
#include "daemon_client.h"
#include "holder.h"
#include "in_root.h"
#include "namespace.h"
#include "options.h"
#include "progress.h"
#include "protocol.h"
#include "reply.h"
#include "root_file_system.h"
#include "sweep.h"
#include "tree.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

enum { ATTEMPTS_MAX = 5, HOST_DIRECTORIES_MAX = 2 };

static const char USAGE[] =
    "stowage-enter is started by Slurm's plugin spank_stowage.so; see docs/path-of-an-image.md.\n"
    "  stowage-enter --socket PATH --trees DIR --image REF --lifeline PID [--job ID] [--step ID] [--chdir "
    "DIR]\n"
    "                [--show DIR]     build the container of a step, answer on descriptor 3\n"
    "  stowage-enter --trees DIR --sweep    remove the trees that nothing uses any more\n"
    "  stowage-enter --version | --help\n";

// slurmstepd protects itself from the out-of-memory killer; what it starts must not inherit that.
static void give_up_oom_protection(void) {
    cleanup_close int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
    char score[16] = "";
    if (fd >= 0 && read(fd, score, sizeof score - 1) > 0 && score[0] == '-' && pwrite(fd, "0", 1, 0) != 1)
        fprintf(stderr, "stowage: cannot give up the protection from the out-of-memory killer\n");
}

static const char *node_name(void) {
    static char host[256];
    const char *name = getenv("SLURMD_NODENAME");
    if (!name && gethostname(host, sizeof host - 1) == 0)
        name = host;
    return name ? name : "this node";
}

static void on_progress(void *context, const Stowage__V1__Progress *event) {
    struct progress *progress = context;
    if (event->phase == STOWAGE__V1__PROGRESS__PHASE__PHASE_DOWNLOADING)
        progress_bytes(progress, "downloading", event->image_done_bytes, event->image_total_bytes);
    else if (event->detail[0] != '\0')
        progress_note(progress, event->detail);
    else
        progress_bytes(progress, "looking up", 0, 0);
}

// What must be visible at its own path besides home and working directory: the batch script's directory, and
// where Slurm's PMIx server keeps its sockets and shared memory, which it names with a slash at the end.
static size_t host_directories(const struct options *options, char *directories[HOST_DIRECTORIES_MAX]) {
    size_t count = 0;
    if (options->shown_directory)
        directories[count++] = (char *)options->shown_directory;
    char *pmix = getenv("PMIX_SERVER_TMPDIR");
    if (pmix && pmix[0] == '/' && access(pmix, F_OK) == 0) {
        for (size_t end = strlen(pmix); end > 1 && pmix[end - 1] == '/'; end--)
            pmix[end - 1] = '\0';
        directories[count++] = pmix;
    }
    return count;
}

static int prepare(const struct options *options, const struct account *account, char **digests,
                   struct progress *progress, Stowage__V1__ContainerPlan **plan, struct error *err) {
    char *directories[HOST_DIRECTORIES_MAX];
    Stowage__V1__Version version = STOWAGE__V1__VERSION__INIT;
    version.protocol = PROTOCOL_VERSION;
    version.software = "stowage-enter " SOFTWARE_VERSION;
    Stowage__V1__JobContext job = STOWAGE__V1__JOB_CONTEXT__INIT;
    job.job_id = options->job_id;
    job.step_id = options->step_id;
    job.node_name = (char *)progress->node;
    Stowage__V1__PrepareRequest request = STOWAGE__V1__PREPARE_REQUEST__INIT;
    request.client = &version;
    request.reference = (char *)options->image;
    request.job = &job;
    while (digests && digests[request.n_unpacked_digests])
        request.n_unpacked_digests++;
    request.unpacked_digests = digests;
    request.home_directory = account->home;
    request.working_directory = (char *)options->working_directory;
    request.n_host_directories = host_directories(options, directories);
    request.host_directories = directories;
    return daemon_prepare(options->socket, &request, on_progress, progress, plan, err);
}

static void free_digests(char **digests) {
    for (char **at = digests; at && *at; at++)
        free(*at);
    free(digests);
}

// Asks the daemon and gets hold of the tree. On success *plan and tree->lock belong to the caller.
static int acquire_image(const struct options *options, const struct account *account,
                         const struct tree_store *store, struct progress *progress,
                         Stowage__V1__ContainerPlan **plan, struct tree *tree, struct error *err) {
    // Each end of another job may remove the tree between the daemon's answer and its use.
    for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        char **digests = tree_store_digests(store, err);
        int result = digests ? prepare(options, account, digests, progress, plan, err) : -1;
        free_digests(digests);
        if (result != 0)
            return -1;
        result = tree_acquire(tree, store, *plan, progress, err);
        if (result == 0)
            return 0;
        stowage__v1__container_plan__free_unpacked(*plan, NULL);
        if (result != TREE_GONE)
            return error_wrap(err, "image %s", options->image);
    }
    return error_set(err, "the unpacked image was removed again and again by jobs that ended; try again");
}

static bool is_at_or_below(const char *path, const char *ancestor) {
    size_t length = strlen(ancestor);
    return strncmp(path, ancestor, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

// Whether the container shows the host's directory of that name, and not one of the image's own.
static bool is_host_directory(const Stowage__V1__ContainerPlan *plan, const char *path) {
    for (size_t i = 0; i < plan->n_mounts; i++) {
        if (is_at_or_below(path, plan->mounts[i]->target))
            return true;
    }
    return false;
}

// Where ranks start: where the job was submitted, if that is visible, else where the image says.
static const char *choose_directory(int root, const struct options *options,
                                    const Stowage__V1__ContainerPlan *plan, struct progress *progress,
                                    struct error *err) {
    const char *directory = options->working_directory;
    cleanup_close int there = directory[0] == '/' ? in_root_open(root, directory, O_PATH | O_DIRECTORY) : -1;
    cleanup_close int made = there < 0 ? in_root_make_directory(root, plan->working_directory, err) : -1;
    if (there < 0 && made < 0)
        return NULL;
    const char *chosen = there >= 0 ? directory : plan->working_directory;
    if (directory[0] == '/' && !is_host_directory(plan, chosen)) {
        struct error remark;
        error_set(&remark,
                  "%s of the host is not shown in the image; ranks start in the image's %s, and what they "
                  "write there is gone when the step ends",
                  directory, chosen);
        progress_say(progress, remark.text);
    }
    return chosen;
}

static int build_container(const struct options *options, const struct account *account,
                           const struct tree *tree, const Stowage__V1__ContainerPlan *plan,
                           struct progress *progress, const char **directory, struct error *err) {
    if (namespace_enter(err) != 0)
        return -1;
    cleanup_close int root = root_mount(tree->path, tree->mount_point, err);
    if (root < 0 || bind_mounts(root, plan, err) != 0 || account_write(account, root, err) != 0)
        return -1;
    *directory = choose_directory(root, options, plan, progress, err);
    return *directory ? root_pivot(root, err) : -1;
}

static int enter_image(const struct options *options, struct error *err) {
    struct progress progress;
    struct account account;
    struct tree_store store;
    struct tree tree;
    Stowage__V1__ContainerPlan *plan = NULL;
    const char *directory;
    pid_t holder;

    progress_start(&progress, node_name(), options->image);
    cleanup_close int lifeline = pidfd_open(options->lifeline, 0);
    if (lifeline < 0)
        return error_errno(err, "slurmstepd (process %d) is gone", (int)options->lifeline);
    if (account_read(&account, err) != 0 || tree_store_open(&store, options->trees, err) != 0)
        return -1;
    if (acquire_image(options, &account, &store, &progress, &plan, &tree, err) != 0)
        return -1;
    if (build_container(options, &account, &tree, plan, &progress, &directory, err) != 0)
        return error_wrap(err, "image %s", options->image);
    if (holder_start(lifeline, &holder, err) != 0)
        return -1;
    if (reply_ready(holder, tree.lock_path, directory, plan, err) != 0) {
        kill(holder, SIGKILL);
        return -1;
    }
    return 0;
    // The end of this process releases the rest, the lock on the tree included: the holder mounts it now.
}

static int sweep_trees(const struct options *options, struct error *err) {
    struct tree_store store;
    if (tree_store_open(&store, options->trees, err) != 0)
        return -1;
    int result = sweep(&store, err);
    tree_store_close(&store);
    return result;
}

int main(int argc, char **argv) {
    struct options options;
    struct error err;
    if (options_parse(&options, argc, argv, &err) != 0) {
        fprintf(stderr, "stowage-enter: %s\n%s", err.text, USAGE);
        return 2;
    }
    if (options.help || options.version) {
        fputs(options.help ? USAGE : "stowage-enter " SOFTWARE_VERSION "\n", stdout);
        return 0;
    }
    give_up_oom_protection();
    if (options.sweep) {
        if (sweep_trees(&options, &err) == 0)
            return 0;
        fprintf(stderr, "stowage-enter: %s\n", err.text);
        return 1;
    }
    if (enter_image(&options, &err) == 0)
        return 0;
    reply_error(&err);
    return 1;
}
