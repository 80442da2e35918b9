#include "container.h"
#include "device_edits.h"
#include "device_groups.h"
#include "entrypoint.h"
#include "mounts.h"
#include "named_join.h"
#include "namespace.h"
#include "namespace_mounts.h"
#include "root_file_system.h"
#include "root_user.h"
#include "squashfs_mount.h"
#include "working_directory.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct building {
    const struct container_request *request;
    struct container *container;
    // Whom the ranks are in there.
    struct account account;
    struct entrypoint entrypoint;
    // Descriptor of the container's root directory.
    int root;
};

static int read_entry(struct building *building, struct error *err) {
    const Stowage__V1__ContainerPlan *plan = building->request->plan;
    struct step_entry *entry = &building->container->entry;
    *entry = (struct step_entry){.root = plan->root_user,
                                 .keep_holder = building->request->named->state != NAMED_NONE};
    for (size_t i = 0; i < plan->n_unshare; i++) {
        switch (plan->unshare[i]) {
        case STOWAGE__V1__NAMESPACE__NAMESPACE_NET:
            entry->net = true;
            break;
        case STOWAGE__V1__NAMESPACE__NAMESPACE_IPC:
            entry->ipc = true;
            break;
        case STOWAGE__V1__NAMESPACE__NAMESPACE_UTS:
            entry->uts = true;
            break;
        default:
            return error_set(err, "stowaged asks for a namespace that stowage-enter does not know");
        }
    }
    return 0;
}

static int prepare_entrypoint(struct building *building, struct error *err) {
    return entrypoint_prepare(&building->entrypoint, building->request->plan, err);
}

static int enter_namespaces(struct building *building, struct error *err) {
    return namespace_enter(&building->request->tree->directory, &building->container->entry, err);
}

// Puts the image, as the lower layer, and the step's writable layer together.
static int make_root(struct building *building, struct error *err) {
    const struct tree *tree = building->request->tree;
    char directory[32];
    if (tree->is_squashfs && squashfs_mount(tree->path, err) != 0)
        return -1;
    snprintf(directory, sizeof directory, "/proc/self/fd/%d", tree->directory);
    const char *lower = tree->directory < 0 ? tree->path : directory;
    const struct named_container *named = building->request->named;
    building->root = named->state == NAMED_NONE ? root_mount(lower, tree->mount_point, err)
                                                : root_mount_kept(lower, named->path, err);
    return building->root >= 0 ? 0 : -1;
}

static int choose_account(struct building *building, struct error *err) {
    building->account = *building->request->account;
    return building->container->entry.root ? account_of_root(&building->account, building->root, err) : 0;
}

static int start_saver(struct building *building, struct save_source *source, struct error *err) {
    const struct container_request *request = building->request;
    const struct tree *tree = request->tree;
    char directory[32];
    snprintf(directory, sizeof directory, "/proc/self/fd/%d", tree->directory);
    source->lifeline = request->lifeline;
    source->node = request->progress->node;
    source->account = &building->account;
    source->plan = request->plan;
    source->place = tree->mount_point;
    source->image = tree->directory < 0 ? tree->path : directory;
    return save_start(request->save, source, err);
}

// Before anything is mounted in the container: only its bare root is saved.
static int prepare_save(struct building *building, struct error *err) {
    const struct named_container *named = building->request->named;
    const char *base = named->state == NAMED_NONE ? building->request->tree->mount_point : named->path;
    char root[PATH_MAX];
    if (snprintf(root, sizeof root, "%s/root", base) >= (int)sizeof root)
        return error_set(err, "the path of the tree store is too long");
    return start_saver(building, &(struct save_source){.inhabitant = -1, .root = root}, err);
}

static int join(struct building *building, struct error *err) {
    const struct container_request *request = building->request;
    building->account = *request->account;
    struct save_source source = {.inhabitant = request->named->inhabitant};
    if (start_saver(building, &source, err) != 0 ||
        named_join(request->named->inhabitant, &building->container->entry, request->plan, err) != 0)
        return -1;
    building->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return building->root >= 0 ? 0 : error_errno(err, "cannot open the container's root directory");
}

// Before anything of the host is mounted: nothing of this may be written to a directory of the host.
static int write_account(struct building *building, struct error *err) {
    bool as_root = building->container->entry.root;
    if (as_root)
        root_user_warn(building->request->progress);
    if (as_root && root_user_prepare(building->root, &building->account, err) != 0)
        return -1;
    return account_write(&building->account, building->root, err);
}

// What every container has comes first in a plan; what somebody asked for may lie over all the rest.
static int make_mounts(struct building *building, struct error *err) {
    const Stowage__V1__ContainerPlan *plan = building->request->plan;
    const struct step_entry *entry = &building->container->entry;
    size_t common = 0;
    while (common < plan->n_mounts && plan->mounts[common]->origin[0] == '\0')
        common++;
    if (mounts_make(building->root, plan->mounts, common, err) != 0 ||
        namespace_mounts_make(building->root, entry, building->request->progress, err) != 0)
        return -1;
    return mounts_make(building->root, plan->mounts + common, plan->n_mounts - common, err);
}

static int name_groups(struct building *building, struct error *err) {
    return device_groups_say(building->request->plan, building->request->progress, err);
}

// What devices change besides mounts.
static int apply_devices(struct building *building, struct error *err) {
    const struct container_request *request = building->request;
    return device_edits_apply(building->root, request->plan, request->progress, err);
}

// Where ranks start.
static int choose_directory(struct building *building, struct error *err) {
    const struct container_request *request = building->request;
    building->container->directory =
        working_directory_choose(building->root, request->options, request->plan, request->progress, err);
    return building->container->directory ? 0 : -1;
}

// Last of all that is written to the image.
static int make_read_only(struct building *building, struct error *err) {
    return building->request->plan->read_only_root ? root_make_read_only(building->root, err) : 0;
}

static int enter_root(struct building *building, struct error *err) {
    int result = root_pivot(building->root, err);
    close(building->root);
    return result;
}

static int choose_environment(struct building *building, struct error *err) {
    const struct container_request *request = building->request;
    const struct local_image *local = request->local;
    struct environment *environment = &building->container->environment;
    if (environment_from_plan(environment, request->plan, environ, err) != 0)
        return -1;
    // All other images say in their configuration, and so in the plan, what is to be set.
    if (local && local->format == STOWAGE__V1__LOCAL_IMAGE__FORMAT__FORMAT_ROOT_FILE_SYSTEM) {
        bool is_squashfs = local->identity.kind && strcmp(local->identity.kind, "squashfs") == 0;
        image_environment_add(environment, request->host_files, is_squashfs, request->progress);
    }
    return building->container->entry.root ? root_user_environment(environment, &building->account, err) : 0;
}

static int run_entrypoint(struct building *building, struct error *err) {
    struct container *container = building->container;
    return entrypoint_run(&building->entrypoint, building->request->plan, &container->environment,
                          &container->directory, building->request->progress, err);
}

typedef int (*building_step)(struct building *, struct error *);

static const building_step BUILD[] = {
    read_entry,  name_groups,        prepare_entrypoint, enter_namespaces,
    make_root,   choose_account,     prepare_save,       write_account,
    make_mounts, apply_devices,      choose_directory,   make_read_only,
    enter_root,  choose_environment, run_entrypoint,     NULL,
};

static const building_step JOIN[] = {
    read_entry,       prepare_entrypoint, join,           choose_account,
    choose_directory, choose_environment, run_entrypoint, NULL,
};

int container_build(const struct container_request *request, struct container *container, struct error *err) {
    struct container built = {0};
    struct building building = {.request = request, .container = &built, .root = -1};
    const building_step *step = request->named->state == NAMED_RUNNING ? JOIN : BUILD;
    for (; *step; step++) {
        if ((*step)(&building, err) != 0)
            return -1;
    }
    *container = built;
    return 0;
}
