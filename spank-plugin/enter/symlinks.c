#include "symlinks.h"
#include "cleanup.h"
#include "in_root.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool is_there(int directory, const char *name, const char *target) {
    char found[PATH_MAX];
    ssize_t length = readlinkat(directory, name, found, sizeof found);
    return length >= 0 && (size_t)length == strlen(target) && memcmp(found, target, (size_t)length) == 0;
}

static int make_symlink(int root, const char *target, const char *path, struct error *err) {
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (!slash || slash[1] == '\0' ||
        snprintf(parent, sizeof parent, "%.*s/", (int)(slash - path), path) >= (int)sizeof parent)
        return error_set(err, "it has no name");
    cleanup_close int directory = in_root_make_directory(root, parent, err);
    if (directory < 0)
        return -1;
    const char *name = slash + 1;
    if (is_there(directory, name, target))
        return 0;
    if (unlinkat(directory, name, 0) != 0 && errno != ENOENT)
        return error_errno(err, "what is there cannot give way");
    return symlinkat(target, directory, name) == 0 ? 0 : error_errno(err, "cannot make it");
}

int symlinks_make(int root, const Stowage__V1__ContainerPlan *plan, struct error *err) {
    for (size_t i = 0; i < plan->n_symlinks; i++) {
        const Stowage__V1__Symlink *link = plan->symlinks[i];
        if (make_symlink(root, link->target, link->path, err) != 0)
            return error_wrap(err, "symbolic link '%s' to '%s' in the container", link->path, link->target);
    }
    return 0;
}
