#include "mount_flags.h"

#include <fcntl.h>

uint64_t mount_flags_attributes(const Stowage__V1__Mount *mount) {
    return (mount->read_only ? MOUNT_ATTR_RDONLY : 0) | (mount->no_suid ? MOUNT_ATTR_NOSUID : 0) |
           (mount->no_dev ? MOUNT_ATTR_NODEV : 0) | (mount->no_exec ? MOUNT_ATTR_NOEXEC : 0);
}

uint64_t mount_flags_propagation(const Stowage__V1__Mount *mount) {
    switch (mount->propagation) {
    case STOWAGE__V1__MOUNT__PROPAGATION__PROPAGATION_PRIVATE:
        return MS_PRIVATE;
    case STOWAGE__V1__MOUNT__PROPAGATION__PROPAGATION_SLAVE:
        return MS_SLAVE;
    case STOWAGE__V1__MOUNT__PROPAGATION__PROPAGATION_SHARED:
        return MS_SHARED;
    case STOWAGE__V1__MOUNT__PROPAGATION__PROPAGATION_UNBINDABLE:
        return MS_UNBINDABLE;
    default:
        // What the step's namespace was made of is a slave of the host's already.
        return 0;
    }
}

unsigned mount_flags_copy(const Stowage__V1__Mount *mount) {
    return OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (mount->not_recursive ? 0 : AT_RECURSIVE);
}
