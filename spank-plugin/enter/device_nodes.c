#include "device_nodes.h"
#include "cleanup.h"
#include "device_directory.h"
#include "in_root.h"
#include "path_prefix.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static bool is_of_type(mode_t mode, char type) {
    switch (type) {
    case 'b':
        return S_ISBLK(mode);
    case 'c':
    case 'u':
        return S_ISCHR(mode);
    case 'p':
        return S_ISFIFO(mode);
    default:
        return true;
    }
}

static int check_node(const Stowage__V1__DeviceNode *wanted, const struct stat *found, struct error *err) {
    unsigned major_number = major(found->st_rdev), minor_number = minor(found->st_rdev);
    if (S_ISDIR(found->st_mode))
        return error_set(err, "'%s' on this node is a directory", wanted->source);
    if (!is_of_type(found->st_mode, wanted->type[0]))
        return error_set(err, "'%s' on this node is not of type '%s'", wanted->source, wanted->type);
    if ((wanted->major != 0 || wanted->minor != 0) &&
        (wanted->major != major_number || wanted->minor != minor_number))
        return error_set(err,
                         "'%s' on this node is %u:%u, and its specification says %u:%u; the administrators "
                         "must write that anew",
                         wanted->source, major_number, minor_number, wanted->major, wanted->minor);
    return 0;
}

static int open_node(const Stowage__V1__DeviceNode *node, struct error *err) {
    struct stat info;
    cleanup_close int source = open_tree(AT_FDCWD, node->source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (source < 0 || fstat(source, &info) != 0)
        return error_errno(err, "'%s' on this node cannot be used", node->source);
    return check_node(node, &info, err) == 0 ? steal_fd(&source) : -1;
}

// Nobody but root makes files in the host's /dev.
static int make_target(int root, const char *path, struct error *err) {
    int target = in_root_make_file(root, path, err);
    if (target >= 0 || !is_at_or_below(path, "/dev"))
        return target;
    return device_directory_make(root, err) == 0 ? in_root_make_file(root, path, err) : -1;
}

static int make_node(int root, const Stowage__V1__DeviceNode *node, struct error *err) {
    cleanup_close int source = open_node(node, err);
    if (source < 0)
        return -1;
    cleanup_close int target = make_target(root, node->path, err);
    if (target < 0)
        return -1;
    if (move_mount(source, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0)
        return error_errno(err, "cannot put '%s' of this node at %s in the container", node->source,
                           node->path);
    return 0;
}

int device_nodes_make(int root, const Stowage__V1__ContainerPlan *plan, struct error *err) {
    for (size_t i = 0; i < plan->n_device_nodes; i++) {
        if (make_node(root, plan->device_nodes[i], err) != 0)
            return error_wrap(err, "device %s", plan->device_nodes[i]->device);
    }
    return 0;
}
