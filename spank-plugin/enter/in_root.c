#include "in_root.h"
#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

int in_root_open(int root, const char *path, int flags) {
    struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC),
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, root, path, &how, sizeof how);
}

int in_root_make_directory(int root, const char *path, struct error *err) {
    int found = in_root_open(root, path, O_PATH | O_DIRECTORY);
    if (found >= 0)
        return found;
    if (errno != ENOENT)
        return error_errno(err, "cannot make the directory %s in the container", path);

    char prefix[PATH_MAX];
    if (snprintf(prefix, sizeof prefix, "%s", path) >= (int)sizeof prefix)
        return error_set(err, "the path %s is too long", path);
    cleanup_close int parent = in_root_open(root, "/", O_PATH | O_DIRECTORY);
    for (char *component = prefix; *component;) {
        component += strspn(component, "/");
        char *end = component + strcspn(component, "/");
        char after = *end;
        *end = '\0';
        if (*component == '\0')
            break;
        if (mkdirat(parent, component, 0755) != 0 && errno != EEXIST)
            return error_errno(err, "cannot make the directory %s in the container", prefix);
        int next = in_root_open(root, prefix, O_PATH | O_DIRECTORY);
        if (next < 0)
            return error_errno(err, "cannot make the directory %s in the container", prefix);
        close(parent);
        parent = next;
        *end = after;
        component = end;
    }
    return steal_fd(&parent);
}

// Splits `path` into its directory, made if missing and returned, and the name in it.
static int open_parent(int root, const char *path, const char **name, struct error *err) {
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (!slash || slash[1] == '\0' || (size_t)(slash - path) >= sizeof directory - 1)
        return error_set(err, "'%s' does not name a file in the container", path);
    snprintf(directory, sizeof directory, "%.*s/", (int)(slash - path), path);
    *name = slash + 1;
    return in_root_make_directory(root, directory, err);
}

int in_root_replace(int root, const char *path, mode_t mode, struct error *err) {
    const char *name;
    cleanup_close int parent = open_parent(root, path, &name, err);
    if (parent < 0)
        return -1;
    if (unlinkat(parent, name, 0) != 0 && errno != ENOENT)
        return error_errno(err, "cannot replace %s in the container", path);
    int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return error_errno(err, "cannot make %s in the container", path);
    return fd;
}

int in_root_make_file(int root, const char *path, struct error *err) {
    int found = in_root_open(root, path, O_PATH);
    if (found >= 0)
        return found;
    if (errno != ENOENT)
        return error_errno(err, "cannot make %s in the container", path);
    cleanup_close int made = in_root_replace(root, path, 0644, err);
    if (made < 0)
        return -1;
    found = in_root_open(root, path, O_PATH);
    return found >= 0 ? found : error_errno(err, "cannot open %s in the container", path);
}
