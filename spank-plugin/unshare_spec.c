#include "unshare_spec.h"
#include "cleanup.h"

#include <string.h>

int unshare_spec_check(const char *text, struct error *err) {
    cleanup_free char *copy = strdup(text);
    if (!copy)
        return error_errno(err, "--image-unshare");
    for (char *rest = copy, *name; (name = strsep(&rest, ","));) {
        if (strcmp(name, "net") != 0 && strcmp(name, "ipc") != 0 && strcmp(name, "uts") != 0)
            return error_set(
                err,
                "--image-unshare: \"%.100s\" is no namespace that can be had; there are net, ipc and uts",
                name);
    }
    return 0;
}
