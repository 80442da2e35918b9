#include "file_system.h"
#include "cleanup.h"

#include <sys/mount.h>

int file_system_make(const char *type, const struct file_system_option *options, uint64_t attributes,
                     struct error *err) {
    cleanup_close int made = fsopen(type, FSOPEN_CLOEXEC);
    if (made < 0)
        return error_errno(err, "cannot make a %s", type);
    for (; options->name; options++) {
        if (fsconfig(made, FSCONFIG_SET_STRING, options->name, options->value, 0) != 0)
            return error_errno(err, "cannot make a %s with %s=%s", type, options->name, options->value);
    }
    if (fsconfig(made, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0)
        return error_errno(err, "cannot make a %s", type);
    int mount = fsmount(made, FSMOUNT_CLOEXEC, (unsigned)attributes);
    return mount >= 0 ? mount : error_errno(err, "cannot mount a %s", type);
}

int file_system_attach(int mount, int target) {
    return move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}
