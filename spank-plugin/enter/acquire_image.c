#include "acquire_image.h"
#include "cleanup.h"
#include "daemon_client.h"
#include "layout_files.h"
#include "login/find.h"
#include "prepare_request.h"

#include <stdio.h>
#include <string.h>

enum { ATTEMPTS_MAX = 5, HOST_DIRECTORIES_MAX = 2, DOCUMENT_MAX = 16 << 20 };

_Static_assert((int)UNPACK_STREAMS <= (int)DAEMON_WATCHED_MAX, "all streams of the unpacker can be watched");

// One image on its way.
struct acquisition {
    const struct tree_store *store;
    const struct local_image *local;
    struct progress *progress;
    const char *image;
    const struct account *account;
    struct tree_making making;
};

static void on_progress(void *context, const Stowage__V1__Progress *event) {
    struct progress *progress = ((struct acquisition *)context)->progress;
    if (event->phase == STOWAGE__V1__PROGRESS__PHASE__PHASE_DOWNLOADING)
        progress_bytes(progress, "downloading", event->image_done_bytes, event->image_total_bytes);
    else if (event->detail[0] != '\0')
        progress_note(progress, event->detail);
    else
        progress_bytes(progress, "looking up", 0, 0);
}

static int on_document(void *context, const Stowage__V1__DocumentWanted *wanted,
                       Stowage__V1__Document *document, struct error *err) {
    struct acquisition *acquisition = context;
    struct layout_files files = local_image_files(acquisition->local);
    uint64_t most = wanted->max_bytes < DOCUMENT_MAX ? wanted->max_bytes : DOCUMENT_MAX;
    struct error problem;
    if (layout_files_read(&files, wanted->name, most, &document->content.data, &document->content.len,
                          &problem) == 0)
        return 0;
    document->problem = strdup(problem.text);
    return document->problem ? 0 : error_errno(err, "cannot answer stowaged");
}

static void on_login(void *context, const Stowage__V1__LoginWanted *wanted, struct login *login) {
    struct acquisition *acquisition = context;
    login_find(wanted->registry, wanted->repository, acquisition->account->home, login);
    if (login->remark.text[0] != '\0')
        progress_say(acquisition->progress, login->remark.text);
}

static int on_layers(void *context, const Stowage__V1__Layers *layers, struct error *err) {
    struct acquisition *acquisition = context;
    // Those of a local image are there as a whole.
    if (acquisition->local)
        return 0;
    if (tree_begin(&acquisition->making, acquisition->store, layers, err) != 0)
        return error_wrap(err, "image %s", acquisition->image);
    return 0;
}

static void watch(void *context, struct pollfd watched[DAEMON_WATCHED_MAX]) {
    struct acquisition *acquisition = context;
    tree_watch(&acquisition->making, watched);
}

static int on_ready(void *context, const struct pollfd watched[DAEMON_WATCHED_MAX], struct error *err) {
    struct acquisition *acquisition = context;
    if (tree_listen(&acquisition->making, watched, err) != 0)
        return error_wrap(err, "image %s", acquisition->image);
    return 0;
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

static void describe_local(Stowage__V1__LocalImage *message, const struct local_image *local) {
    message->format = local->format;
    message->selector = local->selector;
    if (local->format == STOWAGE__V1__LOCAL_IMAGE__FORMAT__FORMAT_ROOT_FILE_SYSTEM && local->identity.digest)
        message->digest = (char *)local->identity.digest;
}

static int prepare(struct acquisition *acquisition, const struct options *options, char **digests,
                   Stowage__V1__ContainerPlan **plan, struct error *err) {
    const struct daemon_listener listener = {.context = acquisition,
                                             .progress = on_progress,
                                             .document = on_document,
                                             .login = on_login,
                                             .layers = on_layers,
                                             .watch = watch,
                                             .ready = on_ready};
    char *directories[HOST_DIRECTORIES_MAX];
    Stowage__V1__LocalImage local = STOWAGE__V1__LOCAL_IMAGE__INIT;
    struct prepare_request request;
    prepare_request_fill(&request, options, acquisition->image, acquisition->progress->node, digests);
    request.message.home_directory = acquisition->account->home;
    request.message.working_directory = (char *)options->working_directory;
    request.message.n_host_directories = host_directories(options, directories);
    request.message.host_directories = directories;
    if (acquisition->local) {
        describe_local(&local, acquisition->local);
        request.message.local = &local;
    }
    return daemon_prepare(options->socket, &request.message, &listener, plan, err);
}

static void free_digests(char **digests) {
    for (char **at = digests; at && *at; at++)
        free(*at);
    free(digests);
}

static int find_tree(struct acquisition *acquisition, const Stowage__V1__ContainerPlan *plan,
                     struct tree *tree, struct error *err) {
    const struct local_image *local = acquisition->local;
    if (local && local->is_directory &&
        local->format == STOWAGE__V1__LOCAL_IMAGE__FORMAT__FORMAT_ROOT_FILE_SYSTEM)
        return tree_use_directory(tree, acquisition->store, local->fd, err);
    return tree_acquire(tree, acquisition->store, plan, local, &acquisition->making, acquisition->progress,
                        err);
}

// What the daemon and the messages call the image: with the whole path.
static char *full_name(const struct options *options, const struct local_image *local) {
    char *name = NULL;
    struct image_source source;
    struct error ignored;
    if (!local || image_source_parse(options->image, &source, &ignored) != 0)
        return strdup(options->image);
    int made = asprintf(&name, "%.*s%s%s%s", (int)(source.location - options->image), options->image,
                        local->path, local->selector[0] ? ":" : "", local->selector);
    return made < 0 ? NULL : name;
}

// The daemon's account of it has no size of the tree: the unpacker does not say it, and to look at each file
// once more would take longer than the number is worth.
static void report_unpacked(const struct acquisition *acquisition, const struct options *options,
                            const Stowage__V1__ContainerPlan *plan) {
    struct error ignored;
    struct prepare_request request;
    char *no_digests = NULL;
    prepare_request_fill(&request, options, acquisition->image, acquisition->progress->node, &no_digests);
    Stowage__V1__ReportUnpackedRequest report = STOWAGE__V1__REPORT_UNPACKED_REQUEST__INIT;
    report.client = &request.version;
    report.job = &request.job;
    report.image_digest = plan->image_digest;
    report.unpack_milliseconds = acquisition->making.took_ms;
    daemon_report_unpacked(options->socket, &report, &ignored);
}

static int acquire(struct acquisition *acquisition, const struct options *options,
                   Stowage__V1__ContainerPlan **plan, struct tree *tree, struct error *err) {
    // Each end of another job may remove the tree between the daemon's answer and its use.
    for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        char **digests = tree_store_digests(acquisition->store, err);
        int result = digests ? prepare(acquisition, options, digests, plan, err) : -1;
        free_digests(digests);
        if (result != 0)
            return -1;
        // Steps that join the container must not depend on a server that ends with the step that started it.
        if (options_value(options, "name"))
            (*plan)->mount_squashfs = false;
        if ((*plan)->notice[0] != '\0')
            progress_say(acquisition->progress, (*plan)->notice);
        result = find_tree(acquisition, *plan, tree, err);
        if (result == 0) {
            if (options->show_digest)
                progress_say_digest(acquisition->progress, (*plan)->canonical_reference,
                                    (*plan)->image_digest);
            if (acquisition->making.took_ms > 0)
                report_unpacked(acquisition, options, *plan);
            return 0;
        }
        stowage__v1__container_plan__free_unpacked(*plan, NULL);
        if (result != TREE_GONE)
            return error_wrap(err, "image %s", acquisition->image);
    }
    return error_set(err, "the unpacked image was removed again and again by jobs that ended; try again");
}

int acquire_image(const struct options *options, const struct account *account,
                  const struct tree_store *store, const struct local_image *local, struct progress *progress,
                  Stowage__V1__ContainerPlan **plan, struct tree *tree, struct error *err) {
    cleanup_free char *image = full_name(options, local);
    if (!image)
        return error_errno(err, "cannot hold the name of the image");
    struct acquisition acquisition = {.store = store,
                                      .local = local,
                                      .progress = progress,
                                      .image = image,
                                      .account = account,
                                      .making = TREE_MAKING_NONE};
    int result = acquire(&acquisition, options, plan, tree, err);
    tree_abandon(&acquisition.making, store);
    return result;
}
