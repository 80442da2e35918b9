#include "container.h"
#include "device_edits.h"
#include "device_groups.h"
#include "mounts.h"
#include "namespace.h"
#include "namespace_mounts.h"
#include "root_file_system.h"
#include "root_user.h"
#include "squashfs_mount.h"
#include "working_directory.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct building {
    const struct container_request *request;
    struct container *container;
    // Whom the ranks are in there.
    struct account account;
    // Descriptor of the container's root directory.
    int root;
};

static int read_entry(struct building *building, struct error *err) {
    const Stowage__V1__ContainerPlan *plan = building->request->plan;
    struct step_entry *entry = &building->container->entry;
    *entry = (struct step_entry){.root = plan->root_user};
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
    building->root = root_mount(tree->directory < 0 ? tree->path : directory, tree->mount_point, err);
    return building->root >= 0 ? 0 : -1;
}

// Before anything of the host is mounted: nothing of this may be written to a directory of the host.
static int write_account(struct building *building, struct error *err) {
    bool as_root = building->container->entry.root;
    building->account = *building->request->account;
    if (as_root)
        root_user_warn(building->request->progress);
    if (as_root && (account_of_root(&building->account, building->root, err) != 0 ||
                    root_user_prepare(building->root, &building->account, err) != 0))
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

int container_build(const struct container_request *request, struct container *container, struct error *err) {
    static int (*const STEPS[])(struct building *, struct error *) = {
        read_entry,    name_groups,      enter_namespaces, make_root,  write_account,      make_mounts,
        apply_devices, choose_directory, make_read_only,   enter_root, choose_environment,
    };
    struct container built = {0};
    struct building building = {.request = request, .container = &built, .root = -1};
    for (size_t i = 0; i < sizeof STEPS / sizeof *STEPS; i++) {
        if (STEPS[i](&building, err) != 0)
            return -1;
    }
    *container = built;
    return 0;
}
