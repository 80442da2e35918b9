#include "library_cache.h"
#include "cleanup.h"
#include "host_program.h"
#include "image_libc.h"
#include "in_root.h"
#include "regular_file.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { TIMEOUT_SECONDS = 60, CONFIGURATION_MAX = 64 * 1024 };

static const char CONFIGURATION[] = "/etc/ld.so.conf";
// Sorted after "00-compat-…" of NVIDIA's hook enable-cuda-compat, which must go first, and before all else.
static const char OWN_CONFIGURATION[] = "/etc/ld.so.conf.d/00-device-libraries.conf";
static const char INCLUSION[] = "include /etc/ld.so.conf.d/*.conf";

// On Ubuntu the other is a script that refuses to be run in packages.
static const char *const PROGRAMS[] = {"/sbin/ldconfig.real", "/sbin/ldconfig", "/usr/sbin/ldconfig"};

static int write_file(int root, const char *path, const char *text, const char *further, struct error *err) {
    cleanup_close int fd = in_root_replace(root, path, 0644, err);
    if (fd < 0)
        return -1;
    if (dprintf(fd, "%s\n%s", text, further) < 0)
        return error_errno(err, "cannot write %s in the container", path);
    return 0;
}

static int write_directories(int root, const Stowage__V1__ContainerPlan *plan, struct error *err) {
    cleanup_close int fd = in_root_replace(root, OWN_CONFIGURATION, 0644, err);
    if (fd < 0)
        return -1;
    for (size_t i = 0; i < plan->n_library_directories; i++) {
        if (dprintf(fd, "%s\n", plan->library_directories[i]) < 0)
            return error_errno(err, "cannot write %s in the container", OWN_CONFIGURATION);
    }
    return 0;
}

// An image without a package manager may have no ld.so.conf, or one that names no directory of further ones.
static int include_directories(int root, struct error *err) {
    cleanup_free char *text = calloc(1, CONFIGURATION_MAX + 1);
    if (!text)
        return error_errno(err, "cannot hold %s", CONFIGURATION);
    cleanup_close int fd = regular_file_open(root, CONFIGURATION);
    if (fd >= 0 && read(fd, text, CONFIGURATION_MAX) < 0)
        return error_errno(err, "cannot read %s in the container", CONFIGURATION);
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        if (strncmp(line, INCLUSION, sizeof INCLUSION - 1) == 0)
            return 0;
    }
    return write_file(root, CONFIGURATION, INCLUSION, text, err);
}

// An image may have links in their places, which ldconfig follows or stumbles over.
static int clear_cache(int root, struct error *err) {
    static const char *const FILES[] = {"/etc/ld.so.cache", "/etc/ld.so.cache~"};
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        cleanup_close int fd = in_root_replace(root, FILES[i], 0644, err);
        if (fd < 0)
            return -1;
    }
    return 0;
}

static const char *find_program(void) {
    for (size_t i = 0; i < sizeof PROGRAMS / sizeof *PROGRAMS; i++) {
        if (access(PROGRAMS[i], X_OK) == 0)
            return PROGRAMS[i];
    }
    return NULL;
}

// It changes its root directory first, so that nothing in the image leads it out, and executes nothing of it.
static int run_ldconfig(int root, struct error *err) {
    char path[PATH_MAX], link[32];
    const char *program = find_program();
    snprintf(link, sizeof link, "/proc/self/fd/%d", root);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return error_errno(err, "cannot tell where the container's root is");
    path[length] = '\0';
    if (!program)
        return error_set(err, "this node has no ldconfig, which makes the container's ld.so.cache");
    // Not by what is in its cache of an earlier run: file numbers mean nothing in another root.
    char *arguments[] = {"ldconfig", "-i", "-r", path, NULL};
    char *environment[] = {"LC_ALL=C", NULL};
    struct host_program ldconfig = {.path = program,
                                    .arguments = arguments,
                                    .environment = environment,
                                    .timeout_seconds = TIMEOUT_SECONDS,
                                    .is_quiet = true};
    if (host_program_run(&ldconfig, err) != 0)
        return error_wrap(err, "%s, which makes the container's ld.so.cache", program);
    return 0;
}

// What is mounted there is the user's, and keeps what is written to it. Directories of an overlay are on its
// own device.
static int check_places(int root, struct error *err) {
    static const char *const PLACES[] = {"/etc", "/etc/ld.so.conf.d"};
    struct stat own, there;
    if (fstat(root, &own) != 0)
        return error_errno(err, "cannot look at the container's root");
    for (size_t i = 0; i < sizeof PLACES / sizeof *PLACES; i++) {
        cleanup_close int fd = in_root_open(root, PLACES[i], O_PATH | O_DIRECTORY);
        if (fd >= 0 && fstat(fd, &there) == 0 && there.st_dev != own.st_dev)
            return error_set(err,
                             "the libraries of devices are announced in %s of the container, where something "
                             "else is mounted, which is not written to; mount single files there, or leave "
                             "the devices out",
                             PLACES[i]);
    }
    return 0;
}

int library_cache_update(int root, const Stowage__V1__ContainerPlan *plan, struct error *err) {
    if (plan->n_library_directories == 0 || !image_has_glibc_loader(root))
        return 0;
    if (check_places(root, err) != 0 || write_directories(root, plan, err) != 0 ||
        include_directories(root, err) != 0 || clear_cache(root, err) != 0)
        return -1;
    return run_ldconfig(root, err);
}
