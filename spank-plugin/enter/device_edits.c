#include "device_edits.h"
#include "abi_check.h"
#include "device_nodes.h"
#include "hooks.h"
#include "library_cache.h"
#include "symlinks.h"

int device_edits_apply(int root, const Stowage__V1__ContainerPlan *plan, struct progress *progress,
                       struct error *err) {
    if (device_nodes_make(root, plan, err) != 0 || abi_check(root, plan, progress, err) != 0 ||
        symlinks_make(root, plan, err) != 0 || hooks_run(root, plan, err) != 0)
        return -1;
    // Last: it finds what links and hooks have made.
    return library_cache_update(root, plan, err);
}
