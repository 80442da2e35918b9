#include "abi_check.h"
#include "cleanup.h"
#include "device_mounts.h"
#include "image_libc.h"
#include "in_root.h"
#include "path_prefix.h"
#include "regular_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

// In one directory; further ones are not looked at.
enum { LIBRARIES_MAX = 4096 };

struct check {
    int root;
    // The root without what is mounted in it, or -1.
    int bare;
    const Stowage__V1__ContainerPlan *plan;
    struct image_libc libc;
};

static int check_versions(const struct check *check, const char *device, const char *path,
                          const struct elf_file *library, struct error *err) {
    char needs[ELF_NAME_MAX], has[ELF_NAME_MAX];
    for (int family = 0; family < ELF_FAMILIES; family++) {
        const struct elf_version *wanted = &library->needs[family], *there = &check->libc.has[family];
        elf_version_print(family, wanted, needs);
        elf_version_print(family, there, has);
        if (wanted->part[0] != 0 && check->libc.kind == IMAGE_LIBC_MUSL)
            return error_set(err,
                             "device %s brings %s, which needs %s, and the image's C library is musl; use an "
                             "image with glibc, or leave the device out",
                             device, path, needs);
        if (there->part[0] != 0 && library->machine == check->libc.machine &&
            elf_version_compare(wanted, there) > 0)
            return error_set(err,
                             "device %s brings %s, which needs %s, and the image has %s; use an image of a "
                             "newer distribution, or leave the device out",
                             device, path, needs, has);
    }
    return 0;
}

static int check_file(const struct check *check, const char *device, const char *path, struct error *err) {
    struct elf_file library;
    cleanup_close int fd = regular_file_open(check->root, path);
    return fd >= 0 && elf_file_read(fd, &library) ? check_versions(check, device, path, &library, err) : 0;
}

// A program asks for a library by its soname: one of another soname is another library.
static int check_replaced(const struct check *check, const Stowage__V1__Mount *mount, struct error *err) {
    struct elf_file brought, replaced;
    cleanup_close int now = regular_file_open(check->root, mount->target);
    cleanup_close int before = check->bare >= 0 ? regular_file_open(check->bare, mount->target) : -1;
    if (now < 0 || before < 0 || !elf_file_read(now, &brought) || !elf_file_read(before, &replaced) ||
        brought.soname[0] == '\0' || replaced.soname[0] == '\0')
        return 0;
    if (brought.machine != replaced.machine)
        return error_set(err, "device %s puts a library for another processor in the place of the image's %s",
                         mount->origin, mount->target);
    if (strcmp(brought.soname, replaced.soname) != 0)
        return error_set(err,
                         "device %s puts %s in the place of the image's %s, which is %s: programs that were "
                         "built with one cannot use the other; use an image that was built with %s",
                         mount->origin, brought.soname, mount->target, replaced.soname, brought.soname);
    return 0;
}

static bool is_library_name(const char *name) {
    const char *at = strstr(name, ".so");
    return at && (at[3] == '\0' || at[3] == '.');
}

// Of a directory, what the loader will look at.
static int check_directory(const struct check *check, const char *device, const char *directory,
                           struct error *err) {
    char path[PATH_MAX];
    int fd = in_root_open(check->root, directory, O_RDONLY | O_DIRECTORY);
    DIR *listing = fd >= 0 ? fdopendir(fd) : NULL;
    if (!listing) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    int result = 0;
    const struct dirent *entry;
    for (size_t i = 0; result == 0 && i < LIBRARIES_MAX && (entry = readdir(listing)); i++) {
        if (is_library_name(entry->d_name) &&
            snprintf(path, sizeof path, "%s/%s", directory, entry->d_name) < (int)sizeof path)
            result = check_file(check, device, path, err);
    }
    closedir(listing);
    return result;
}

static int check_mount(const struct check *check, const Stowage__V1__Mount *mount, struct error *err) {
    const Stowage__V1__ContainerPlan *plan = check->plan;
    if (check_file(check, mount->origin, mount->target, err) != 0 || check_replaced(check, mount, err) != 0)
        return -1;
    for (size_t i = 0; i < plan->n_library_directories; i++) {
        if (is_at_or_below(plan->library_directories[i], mount->target) &&
            check_directory(check, mount->origin, plan->library_directories[i], err) != 0)
            return -1;
    }
    return 0;
}

int abi_check(int root, const Stowage__V1__ContainerPlan *plan, struct progress *progress,
              struct error *err) {
    if (!has_device_mounts(plan))
        return 0;
    cleanup_close int bare = open_tree(root, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    struct check check = {.root = root, .bare = bare, .plan = plan};
    image_libc_find(root, plan, &check.libc);
    const char *told = NULL;
    for (size_t i = 0; i < plan->n_mounts; i++) {
        struct error problem;
        const Stowage__V1__Mount *mount = plan->mounts[i];
        if (!is_device_mount(mount) || check_mount(&check, mount, &problem) == 0)
            continue;
        if (!is_automatic(plan, mount->origin))
            return error_set(err, "%s", problem.text);
        if (!told || strcmp(told, mount->origin) != 0)
            progress_say(progress, problem.text);
        told = mount->origin;
    }
    return 0;
}
