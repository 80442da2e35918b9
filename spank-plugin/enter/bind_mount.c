#include "bind_mount.h"
#include "cleanup.h"
#include "mount_flags.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>

static bool may_be_missing(const Stowage__V1__Mount *mount) {
    return mount->optional && (errno == ENOENT || errno == EACCES || errno == ENOTDIR);
}

static int explain(const Stowage__V1__Mount *mount, struct error *err) {
    // The mounts that came from the host stay together: one of them could hide what nobody is to see.
    if (errno == EINVAL && mount->not_recursive)
        return error_set(err,
                         "'%s' has further file systems mounted below it, and users can bind it only "
                         "together with them (rbind)",
                         mount->source);
    return error_errno(err, "cannot open '%s' on this node", mount->source);
}

int bind_mount_make(const Stowage__V1__Mount *mount, int *source, struct error *err) {
    cleanup_close int copy = open_tree(AT_FDCWD, mount->source, mount_flags_copy(mount));
    if (copy < 0 && !may_be_missing(mount))
        return explain(mount, err);
    struct mount_attr attributes = {.attr_set = mount_flags_attributes(mount)};
    if (copy >= 0 && attributes.attr_set != 0 &&
        mount_setattr(copy, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes) != 0)
        return error_errno(err, "cannot set the flags of the mount");
    *source = steal_fd(&copy);
    return 0;
}
