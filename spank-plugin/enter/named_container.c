#include "named_container.h"
#include "cleanup.h"
#include "image_source.h"
#include "named_shape.h"
#include "remove_tree.h"
#include "running_lock.h"
#include "tree_users.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

enum { RETRY_NANOSECONDS = 20 * 1000 * 1000, LAST_PROCESSES_SECONDS = 10 };

static void pause_shortly(void) {
    nanosleep(&(struct timespec){.tv_nsec = RETRY_NANOSECONDS}, NULL);
}

static int make_directory(int parent, const char *name, struct error *err) {
    if (mkdirat(parent, name, 0700) != 0 && errno != EEXIST)
        return error_errno(err, "cannot make the directory %s", name);
    int made = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return made >= 0 ? made : error_errno(err, "cannot open the directory %s", name);
}

static int open_directory(struct named_container *container, const struct tree_store *store, uint32_t job_id,
                          struct error *err) {
    char job[16];
    snprintf(job, sizeof job, "%u", job_id);
    if (snprintf(container->path, sizeof container->path, "%s/" NAMED_DIRECTORY "/%s/%s", store->path, job,
                 container->option.name) >= (int)sizeof container->path)
        return error_set(err, "the path of the tree store is too long");
    cleanup_close int all = make_directory(store->fd, NAMED_DIRECTORY, err);
    cleanup_close int jobs = all < 0 ? -1 : make_directory(all, job, err);
    container->directory = jobs < 0 ? -1 : make_directory(jobs, container->option.name, err);
    return container->directory < 0 ? -1 : 0;
}

static int open_file(const struct named_container *container, const char *name, struct error *err) {
    int fd = openat(container->directory, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    return fd >= 0 ? fd : error_errno(err, "cannot open %s/%s", container->path, name);
}

static int take_lock(struct named_container *container, struct progress *progress, struct error *err) {
    container->lock = open_file(container, "lock", err);
    if (container->lock < 0)
        return -1;
    while (flock(container->lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return error_errno(err, "cannot take the lock %s/lock", container->path);
        progress_note(progress, "waiting for another step of this job that starts the same container");
        pause_shortly();
    }
    return 0;
}

// A step's last processes may outlive its holders by a moment.
static int wait_until_unmounted(const struct named_container *container, struct error *err) {
    char upper[PATH_MAX];
    if (snprintf(upper, sizeof upper, "%s/upper", container->path) >= (int)sizeof upper)
        return error_set(err, "the path of the tree store is too long");
    time_t deadline = time(NULL) + LAST_PROCESSES_SECONDS;
    bool mounted = true;
    while (upper_is_mounted(upper, &mounted, err) == 0 && mounted) {
        if (time(NULL) >= deadline)
            return error_set(err, "processes of a step that has ended still use it; end them, or try again");
        pause_shortly();
    }
    return mounted ? -1 : 0;
}

static int find_state(struct named_container *container, struct error *err) {
    pid_t owner;
    if (named_record_read(container->directory, &container->record, err) != 0)
        return -1;
    bool exists = container->record.image[0] != '\0';
    container->inhabitant = running_lock_open_owner(container->running, &owner);
    if (exists && container->inhabitant >= 0) {
        container->state = NAMED_RUNNING;
        return 0;
    }
    container->state = exists ? NAMED_KEPT : NAMED_ABSENT;
    if (wait_until_unmounted(container, err) != 0)
        return -1;
    // What a step left that did not come as far as to run a rank.
    if (!exists && remove_tree(container->directory, "upper", err) != 0)
        return -1;
    return remove_tree(container->directory, "work", err);
}

static bool has_image(const struct options *options) {
    return options->image && options->image[0] != '\0';
}

static int check_mode(const struct named_container *container, const struct options *options,
                      struct error *err) {
    enum named_mode mode = container->option.mode;
    enum named_state state = container->state;
    if (mode == NAMED_CREATE && state != NAMED_ABSENT)
        return error_set(err, "this job has it already on this node; use another name, or not ':create'");
    if (mode == NAMED_EXEC && state != NAMED_RUNNING)
        return error_set(err,
                         "it is not running on this node; start it in another step, or leave ':exec' out");
    if (mode == NAMED_NO_EXEC && state == NAMED_RUNNING)
        return error_set(err,
                         "it is running on this node, and what it writes can be used by one container at "
                         "a time; wait until it has ended, or leave ':no_exec' out to join it");
    if (state == NAMED_ABSENT && !has_image(options))
        return error_set(err, "this job has no such container on this node; say with --image what to make it "
                              "from");
    return 0;
}

static int complete_image(const struct named_container *container, struct options *options,
                          struct error *err) {
    if (has_image(options))
        return 0;
    options->image = container->record.image;
    // What a relative path in it starts from.
    if (setenv(IMAGE_DIRECTORY_VARIABLE, container->record.base, 1) != 0)
        return error_errno(err, "cannot hold the environment");
    return 0;
}

static int find(struct named_container *container, struct options *options, const struct tree_store *store,
                struct progress *progress, struct error *err) {
    if (options->job_id == 0)
        return error_set(err, "only steps of a job have containers with a name");
    if (open_directory(container, store, options->job_id, err) != 0 ||
        take_lock(container, progress, err) != 0)
        return -1;
    container->running = open_file(container, "running", err);
    if (container->running < 0 || find_state(container, err) != 0 ||
        check_mode(container, options, err) != 0 || complete_image(container, options, err) != 0)
        return -1;
    return container->state == NAMED_RUNNING ? named_shape_adopt(&container->record, options, err) : 0;
}

int named_container_open(struct named_container *container, struct options *options,
                         const struct tree_store *store, struct progress *progress, struct error *err) {
    const char *text = options_value(options, "name");
    *container = (struct named_container){.directory = -1, .lock = -1, .running = -1, .inhabitant = -1};
    if (!text || text[0] == '\0')
        return 0;
    if (named_option_parse(text, &container->option, err) != 0)
        return -1;
    if (find(container, options, store, progress, err) != 0)
        return error_wrap(err, "container '%s'", container->option.name);
    return 0;
}

int named_container_check(const struct named_container *container, const struct options *options,
                          const Stowage__V1__ContainerPlan *plan, struct error *err) {
    if (container->state != NAMED_KEPT && container->state != NAMED_RUNNING)
        return 0;
    const struct named_record *record = &container->record;
    // A directory has no digest.
    bool same = plan->image_digest[0] || record->digest[0] ? strcmp(plan->image_digest, record->digest) == 0
                                                           : strcmp(options->image, record->image) == 0;
    if (same)
        return 0;
    return error_set(err,
                     "container '%s' was made from %s (%s), and %s is now %s; leave --image out to use what "
                     "is there, or take another name",
                     container->option.name, record->image,
                     record->digest[0] ? record->digest : "a directory", options->image,
                     plan->image_digest[0] ? plan->image_digest : "a directory");
}

int named_container_keep(const struct named_container *container, const struct options *options,
                         const Stowage__V1__ContainerPlan *plan, const struct tree *tree, struct error *err) {
    if (container->state != NAMED_ABSENT && container->state != NAMED_KEPT)
        return 0;
    const char *base = getenv(IMAGE_DIRECTORY_VARIABLE);
    const char *name = strrchr(tree->path, '/');
    struct named_record record = {
        .image = (char *)options->image,
        .base = (char *)(base ? base : ""),
        .digest = plan->image_digest,
        .tree = (char *)(name ? name + 1 : ""),
    };
    if (named_shape_describe(options, &record, err) != 0)
        return -1;
    int result = named_record_write(container->directory, &record, err);
    named_record_release(&record);
    return result;
}
