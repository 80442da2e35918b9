#include "device_mounts.h"

#include <string.h>

bool is_device_mount(const Stowage__V1__Mount *mount) {
    const char *equals = strchr(mount->origin, '=');
    const char *slash = strchr(mount->origin, '/');
    return mount->kind == STOWAGE__V1__MOUNT__KIND__KIND_BIND_UNSPECIFIED && slash && equals &&
           slash < equals && mount->origin[0] != '-';
}

bool has_device_mounts(const Stowage__V1__ContainerPlan *plan) {
    for (size_t i = 0; i < plan->n_mounts; i++) {
        if (is_device_mount(plan->mounts[i]))
            return true;
    }
    return false;
}

bool is_automatic(const Stowage__V1__ContainerPlan *plan, const char *device) {
    for (size_t i = 0; i < plan->n_automatic_devices; i++) {
        if (strcmp(plan->automatic_devices[i], device) == 0)
            return true;
    }
    return false;
}
