#include "namespace_mounts.h"
#include "cleanup.h"
#include "file_system.h"
#include "in_root.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mount.h>

static const struct file_system_option NO_OPTIONS[] = {{0}};

// Does nothing if the container has no such directory.
static int cover(int root, const char *path, const char *type, const struct file_system_option *options,
                 uint64_t attributes, struct error *err) {
    cleanup_close int target = in_root_open(root, path, O_PATH | O_DIRECTORY);
    if (target < 0 && errno == ENOENT)
        return 0;
    if (target < 0)
        return error_errno(err, "cannot open %s in the container", path);
    cleanup_close int made = file_system_make(type, options, attributes, err);
    if (made < 0)
        return error_wrap(err, "%s of the step's own", path);
    if (file_system_attach(made, target) != 0)
        return error_errno(err, "cannot mount a %s on %s in the container", type, path);
    return 0;
}

static int show_ipc(int root, struct error *err) {
    static const struct file_system_option FOR_ALL[] = {{"mode", "1777"}, {0}};
    const uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    if (cover(root, "/dev/mqueue", "mqueue", NO_OPTIONS, attributes | MOUNT_ATTR_NOEXEC, err) != 0)
        return -1;
    return cover(root, "/dev/shm", "tmpfs", FOR_ALL, attributes, err);
}

// The host's stays if there is none of the step's own. Programs look for their limits in the control groups
// that are mounted there.
static int show_network(int root, struct progress *progress, struct error *err) {
    static const char CONTROL_GROUPS[] = "/sys/fs/cgroup";
    const uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    cleanup_close int groups_there = in_root_open(root, CONTROL_GROUPS, O_PATH | O_DIRECTORY);
    cleanup_close int groups =
        groups_there < 0
            ? -1
            : open_tree(groups_there, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
    struct error why;
    if (cover(root, "/sys", "sysfs", NO_OPTIONS, attributes, &why) != 0) {
        error_wrap(&why, "/sys/class/net shows the network of the node and not of the step");
        progress_say(progress, why.text);
        return 0;
    }
    cleanup_close int target = in_root_open(root, CONTROL_GROUPS, O_PATH | O_DIRECTORY);
    if (groups >= 0 && target >= 0 && file_system_attach(groups, target) != 0)
        return error_errno(err, "cannot mount %s in the container", CONTROL_GROUPS);
    return 0;
}

int namespace_mounts_make(int root, const struct step_entry *entry, struct progress *progress,
                          struct error *err) {
    if (entry->ipc && show_ipc(root, err) != 0)
        return -1;
    return entry->net ? show_network(root, progress, err) : 0;
}
