// stowage-enter: gets the image of one step onto this node and builds the container that the ranks then join.
// Runs as the job's user, in the step's cgroup; started by the plugin, and by hand only to see what it says.
// enter_image() is steps 3 to 8 of docs/path-of-an-image.md.
#include "account.h"
#include "acquire_image.h"
#include "apply_settings.h"
#include "cleanup.h"
#include "container.h"
#include "grpc_call.h"
#include "holder.h"
#include "image_environment.h"
#include "image_source.h"
#include "local_image.h"
#include "named_container.h"
#include "named_sweep.h"
#include "options.h"
#include "prefetch.h"
#include "prefetch_lock.h"
#include "progress.h"
#include "protocol.h"
#include "reply.h"
#include "save.h"
#include "show_login.h"
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
    "                [--show DIR] [--pull missing|always|never] [--show-digest] [--pyxis]\n"
    "                [--option NAME=VALUE ...] [--environments DIR] [--early-call FD]\n"
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

static int enter_image(struct options *options, struct save *save, struct error *err) {
    struct progress progress;
    struct account account;
    struct tree_store store;
    struct local_image image;
    struct tree tree;
    struct named_container named;
    struct host_files host_files;
    Stowage__V1__ContainerPlan *plan = NULL;
    struct container container;
    pid_t holder;

    cleanup_close int lifeline = pidfd_open(options->lifeline, 0);
    if (lifeline < 0)
        return error_errno(err, "slurmstepd (process %d) is gone", (int)options->lifeline);
    if (account_read(&account, err) != 0 || apply_settings(options, account.home, err) != 0)
        return -1;
    progress_start(&progress, node_name(),
                   options->image[0] ? options->image : options_value(options, "name"));
    if (save_open(save, options, account.home, err) != 0 ||
        tree_store_open(&store, options->trees, err) != 0 || host_files_open(&host_files, err) != 0 ||
        named_container_open(&named, options, &store, &progress, err) != 0)
        return -1;
    progress.image = options->image;
    int found = open_local_image(options, &account, &store, &image, &progress, err);
    const struct local_image *local = found == 1 ? &image : NULL;
    if (found < 0 || acquire_image(options, &account, &store, local, &progress, &plan, &tree, err) != 0)
        return -1;
    if (named_container_check(&named, options, plan, err) != 0)
        return -1;
    const struct container_request request = {.options = options,
                                              .lifeline = lifeline,
                                              .named = &named,
                                              .save = save,
                                              .account = &account,
                                              .local = local,
                                              .host_files = &host_files,
                                              .plan = plan,
                                              .tree = &tree,
                                              .progress = &progress};
    if (container_build(&request, &container, err) != 0)
        return error_wrap(err, "image %s", options->image);
    if (named_container_keep(&named, options, plan, &tree, err) != 0 ||
        holder_start(lifeline, named.running, &holder, err) != 0)
        return -1;
    if (reply_ready(holder, &container.entry, save->saver, tree.lock_path, container.directory,
                    &container.environment, err) != 0) {
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
    int result = 0;
    if (options->job_id != 0) {
        prefetch_end(&store, options->job_id);
        result = named_remove(&store, options->job_id, err);
    }
    if (sweep(&store, err) != 0)
        result = -1;
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
    if (options.early_call >= 0)
        grpc_use_early_call(options.early_call);
    give_up_oom_protection();
    if (!options.login && !options.sweep && !options.prefetch) {
        struct save save = {0};
        if (enter_image(&options, &save, &err) == 0)
            return 0;
        save_abandon(&save);
        reply_error(&err);
        return 1;
    }
    if (run_other(&options, &err) == 0)
        return 0;
    fprintf(stderr, "stowage-enter: %s\n", err.text);
    return 1;
}
