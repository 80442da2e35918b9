// stowage-enter: gets the image of one step onto this node and builds the container that the ranks then join.
// Runs as the job's user, in the step's cgroup; started by the plugin, and by hand only to see what it says.
// enter_image() is steps 3 to 8 of docs/path-of-an-image.md.
#include "account.h"
#include "acquire_image.h"
#include "apply_settings.h"
#include "bind_mount.h"
#include "cleanup.h"
#include "holder.h"
#include "image_environment.h"
#include "image_source.h"
#include "in_root.h"
#include "local_image.h"
#include "namespace.h"
#include "options.h"
#include "prefetch.h"
#include "prefetch_lock.h"
#include "progress.h"
#include "protocol.h"
#include "reply.h"
#include "root_file_system.h"
#include "show_login.h"
#include "squashfs_mount.h"
#include "sweep.h"
#include "tree.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

static const char USAGE[] =
    "stowage-enter is started by Slurm's plugin spank_stowage.so; see docs/path-of-an-image.md.\n"
    "  stowage-enter --socket PATH --trees DIR --image REF --lifeline PID [--job ID] [--step ID] [--chdir "
    "DIR]\n"
    "                [--show DIR] [--pull missing|always|never] [--show-digest] [--option NAME=VALUE ...]\n"
    "                [--environments DIR]\n"
    "                                       build the container of a step, answer on descriptor 3\n"
    "  stowage-enter --socket PATH --trees DIR --image REF --job ID --prefetch [--pull ...]\n"
    "                                       bring the image of a job onto this node\n"
    "  stowage-enter --trees DIR --sweep [--job ID]\n"
    "                                       end the job's --prefetch, remove the trees that nothing uses any "
    "more\n"
    "  stowage-enter --login REGISTRY --repository REPOSITORY\n"
    "                                       write your login to a pipe: a JSON object with username, "
    "password\n"
    "                                       (base64), identity_token, source and problem, empty if there is "
    "none\n"
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

// Puts the image, as the lower layer, and the step's writable layer together. Returns a descriptor of the
// root.
static int make_root(struct tree *tree, struct error *err) {
    char directory[32];
    if (namespace_enter(&tree->directory, err) != 0 ||
        (tree->is_squashfs && squashfs_mount(tree->path, err) != 0))
        return -1;
    snprintf(directory, sizeof directory, "/proc/self/fd/%d", tree->directory);
    return root_mount(tree->directory < 0 ? tree->path : directory, tree->mount_point, err);
}

static int build_container(const struct options *options, const struct account *account, struct tree *tree,
                           const Stowage__V1__ContainerPlan *plan, struct progress *progress,
                           const char **directory, struct error *err) {
    cleanup_close int root = make_root(tree, err);
    if (root < 0 || bind_mounts(root, plan, err) != 0 || account_write(account, root, err) != 0)
        return -1;
    *directory = choose_directory(root, options, plan, progress, err);
    return *directory ? root_pivot(root, err) : -1;
}

// Opens the image if it is in the user's own files. Returns 1 if so, 0 if it is in a registry.
static int open_local_image(const struct options *options, const struct account *account,
                            const struct tree_store *store, struct local_image *local,
                            struct progress *progress, struct error *err) {
    struct image_source source;
    if (image_source_parse(options->image, &source, err) != 0)
        return -1;
    if (source.scheme == IMAGE_REGISTRY)
        return 0;
    const char *base = getenv(IMAGE_DIRECTORY_VARIABLE);
    return local_image_open(local, &source, base, account->home, store, progress, err) == 0 ? 1 : -1;
}

// Call inside the container.
static int choose_environment(struct environment *environment, const Stowage__V1__ContainerPlan *plan,
                              const struct local_image *local, const struct host_files *files,
                              struct progress *progress, struct error *err) {
    if (environment_from_plan(environment, plan, err) != 0)
        return -1;
    // All other images say in their configuration, and so in the plan, what is to be set.
    if (local && local->format == STOWAGE__V1__LOCAL_IMAGE__FORMAT__FORMAT_ROOT_FILE_SYSTEM) {
        bool is_squashfs = local->identity.kind && strcmp(local->identity.kind, "squashfs") == 0;
        image_environment_add(environment, files, is_squashfs, progress);
    }
    return 0;
}

static int enter_image(struct options *options, struct error *err) {
    struct progress progress;
    struct account account;
    struct tree_store store;
    struct local_image image;
    struct tree tree;
    struct host_files host_files;
    struct environment environment;
    Stowage__V1__ContainerPlan *plan = NULL;
    const char *directory;
    pid_t holder;

    cleanup_close int lifeline = pidfd_open(options->lifeline, 0);
    if (lifeline < 0)
        return error_errno(err, "slurmstepd (process %d) is gone", (int)options->lifeline);
    if (account_read(&account, err) != 0 || apply_settings(options, account.home, err) != 0)
        return -1;
    progress_start(&progress, node_name(), options->image);
    if (tree_store_open(&store, options->trees, err) != 0 || host_files_open(&host_files, err) != 0)
        return -1;
    int found = open_local_image(options, &account, &store, &image, &progress, err);
    const struct local_image *local = found == 1 ? &image : NULL;
    if (found < 0 || acquire_image(options, &account, &store, local, &progress, &plan, &tree, err) != 0)
        return -1;
    if (build_container(options, &account, &tree, plan, &progress, &directory, err) != 0 ||
        choose_environment(&environment, plan, local, &host_files, &progress, err) != 0)
        return error_wrap(err, "image %s", options->image);
    if (holder_start(lifeline, &holder, err) != 0)
        return -1;
    if (reply_ready(holder, &(struct step_entry){0}, tree.lock_path, directory, &environment, err) != 0) {
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
    if (options->job_id != 0)
        prefetch_end(&store, options->job_id);
    int result = sweep(&store, err);
    tree_store_close(&store);
    return result;
}

// What is not done for a step.
static int run_other(const struct options *options, struct error *err) {
    if (options->login)
        return show_login(options, err);
    return options->sweep ? sweep_trees(options, err) : prefetch(options, node_name(), err);
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
    reply_keep();
    give_up_oom_protection();
    if (!options.login && !options.sweep && !options.prefetch) {
        if (enter_image(&options, &err) == 0)
            return 0;
        reply_error(&err);
        return 1;
    }
    if (run_other(&options, &err) == 0)
        return 0;
    fprintf(stderr, "stowage-enter: %s\n", err.text);
    return 1;
}
