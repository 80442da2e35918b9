#include "prefetch.h"
#include "account.h"
#include "apply_settings.h"
#include "cleanup.h"
#include "daemon_client.h"
#include "image_source.h"
#include "login/find.h"
#include "prefetch_lock.h"
#include "prepare_request.h"
#include "tree_store.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

// The plugin waits until this is closed, and not for long.
enum { READY_FD = 3, NICENESS = 10 };

static void on_progress(void *context, const Stowage__V1__Progress *event) {
    (void)context;
    (void)event;
}

static int on_layers(void *context, const Stowage__V1__Layers *layers, struct error *err) {
    (void)context;
    (void)layers;
    return error_set(err, "stowaged sent layers although nothing is to be unpacked");
}

static void on_login(void *context, const Stowage__V1__LoginWanted *wanted, struct login *login) {
    const struct account *account = context;
    login_find(wanted->registry, wanted->repository, account->home, login);
}

// What helps to find the user's logins.
static int set_environment(const struct account *account, struct error *err) {
    char runtime[64];
    cleanup_free char *name = strndup(account->passwd_line, strcspn(account->passwd_line, ":"));
    snprintf(runtime, sizeof runtime, "/run/user/%u", getuid());
    if (!name || clearenv() != 0 || setenv("HOME", account->home, 1) != 0 || setenv("USER", name, 1) != 0 ||
        setenv("LOGNAME", name, 1) != 0 || setenv("PATH", "/usr/local/bin:/usr/bin:/bin", 1) != 0 ||
        setenv("XDG_RUNTIME_DIR", runtime, 1) != 0)
        return error_errno(err, "cannot make an environment");
    return 0;
}

static int fetch(const struct options *options, const char *node, const struct tree_store *store,
                 struct error *err) {
    struct account account;
    Stowage__V1__ContainerPlan *plan;
    struct prepare_request request;
    char **digests = tree_store_digests(store, err);
    struct options own = *options;
    if (!digests || account_read(&account, err) != 0 || set_environment(&account, err) != 0 ||
        apply_settings(&own, account.home, err) != 0)
        return -1;
    struct image_source source;
    if (image_source_parse(own.image, &source, err) != 0)
        return -1;
    // What is in a file is here, or will be read as the step's.
    if (source.scheme != IMAGE_REGISTRY)
        return 0;
    const struct daemon_listener listener = {
        .context = &account, .progress = on_progress, .login = on_login, .layers = on_layers};
    prepare_request_fill(&request, &own, own.image, node, digests);
    return daemon_prepare(own.socket, &request.message, &listener, &plan, err);
    // The end of this process releases the rest.
}

// Whether the prolog has given up waiting: then the epilog may have come when there was no lock to find this
// process by.
static bool is_too_late(int ready) {
    struct pollfd end = {.fd = ready};
    return poll(&end, 1, 0) > 0;
}

int prefetch(const struct options *options, const char *node, struct error *err) {
    struct tree_store store;
    // It runs outside of the job's cgroup, so no other process of the user may make it do anything. That the
    // program cannot be read (install.mjs) says the same, unless fs.suid_dumpable says otherwise.
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return error_errno(err, "cannot keep other processes out");
    // Out of the way of what is opened here, in case this was started by hand and there is none.
    cleanup_close int ready = fcntl(READY_FD, F_DUPFD_CLOEXEC, READY_FD + 1);
    if (ready >= 0)
        close(READY_FD);
    cleanup_free char *name = strdup(node);
    if (!name || tree_store_open(&store, options->trees, err) != 0)
        return -1;
    int lock = prefetch_lock_take(&store, options->job_id, err);
    if (lock < 0)
        return -1;
    // Asked with the lock in hand: the epilog comes after a prolog that still waits, and finds it.
    int result = is_too_late(ready) ? error_set(err, "job %u has gone on without this", options->job_id) : 0;
    if (ready >= 0)
        close(steal_fd(&ready));
    setpriority(PRIO_PROCESS, 0, NICENESS);
    if (result == 0)
        result = fetch(options, name, &store, err);
    prefetch_lock_release(&store, options->job_id, lock);
    return result;
}
