#include "tmpfs_mount.h"
#include "file_system.h"
#include "mount_flags.h"

#include <inttypes.h>
#include <stdio.h>

enum { MODE_UNLESS_GIVEN = 0755 };

int tmpfs_mount_make(const Stowage__V1__Mount *mount, struct error *err) {
    char mode[16], size[32];
    snprintf(mode, sizeof mode, "%o", mount->mode != 0 ? mount->mode : MODE_UNLESS_GIVEN);
    snprintf(size, sizeof size, "%" PRIu64, mount->size_bytes);
    struct file_system_option options[] = {
        {"source", "stowage"}, {"mode", mode}, {mount->size_bytes != 0 ? "size" : NULL, size}, {0}};
    uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | mount_flags_attributes(mount);
    return file_system_make("tmpfs", options, attributes, err);
}
