#include "device_groups.h"
#include "cleanup.h"

#include <stdbool.h>
#include <sys/types.h>

static bool is_member(gid_t wanted, const gid_t *groups, int count) {
    for (int i = 0; i < count; i++) {
        if (groups[i] == wanted)
            return true;
    }
    return wanted == getegid();
}

int device_groups_say(const Stowage__V1__ContainerPlan *plan, struct progress *progress, struct error *err) {
    if (plan->n_device_groups == 0)
        return 0;
    int count = getgroups(0, NULL);
    cleanup_free gid_t *groups = calloc(count > 0 ? (size_t)count : 1, sizeof *groups);
    if (count < 0 || !groups || getgroups(count, groups) < 0)
        return error_errno(err, "cannot tell the user's groups");
    for (size_t i = 0; i < plan->n_device_groups; i++) {
        struct error remark;
        const Stowage__V1__DeviceGroup *group = plan->device_groups[i];
        if (is_member(group->gid, groups, count))
            continue;
        error_set(&remark,
                  "device %s is for members of group %u, and you are not one; only the administrators can "
                  "change that",
                  group->device, group->gid);
        progress_say(progress, remark.text);
    }
    return 0;
}
