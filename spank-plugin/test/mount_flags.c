#include "enter/mount_flags.h"
#include "tap.h"

#include <fcntl.h>

int main(void) {
    Stowage__V1__Mount mount = STOWAGE__V1__MOUNT__INIT;
    ok(mount_flags_attributes(&mount) == 0, "sets no flag that was not asked for");
    ok(mount_flags_propagation(&mount) == 0, "nor a propagation");
    ok(mount_flags_copy(&mount) == (OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE),
       "takes what is mounted below along");
    mount.not_recursive = true;
    ok(mount_flags_copy(&mount) == (OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC), "or leaves it out");

    mount.read_only = true;
    ok(mount_flags_attributes(&mount) == MOUNT_ATTR_RDONLY, "ro");
    mount.no_suid = true;
    ok(mount_flags_attributes(&mount) == (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID), "ro, nosuid");
    mount.read_only = false;
    mount.no_dev = mount.no_exec = true;
    ok(mount_flags_attributes(&mount) == (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC),
       "nosuid, nodev, noexec");

    static const uint64_t PROPAGATIONS[] = {0, MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_UNBINDABLE};
    for (int i = 0; i < 5; i++) {
        mount.propagation = (Stowage__V1__Mount__Propagation)i;
        ok(mount_flags_propagation(&mount) == PROPAGATIONS[i], "propagation %d", i);
    }
    return tap_done();
}
