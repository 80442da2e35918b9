#include "image_libc.h"
#include "cleanup.h"
#include "in_root.h"
#include "regular_file.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#if defined(__x86_64__)
#define TRIPLET "x86_64-linux-gnu"
static const char LOADER[] = "/lib64/ld-linux-x86-64.so.2";
static const char MUSL_LOADER[] = "/lib/ld-musl-x86_64.so.1";
#elif defined(__aarch64__)
#define TRIPLET "aarch64-linux-gnu"
static const char LOADER[] = "/lib/ld-linux-aarch64.so.1";
static const char MUSL_LOADER[] = "/lib/ld-musl-aarch64.so.1";
#elif defined(__powerpc64__)
#define TRIPLET "powerpc64le-linux-gnu"
static const char LOADER[] = "/lib64/ld64.so.2";
static const char MUSL_LOADER[] = "/lib/ld-musl-powerpc64le.so.1";
#else
#error "where is the dynamic loader of this processor?"
#endif

static const char *const DIRECTORIES[] = {
    "/lib/" TRIPLET, "/usr/lib/" TRIPLET, "/lib64", "/usr/lib64", "/lib", "/usr/lib",
};

static const char *const LIBRARIES[ELF_FAMILIES] = {
    [ELF_GLIBC] = "libc.so.6",
    [ELF_GLIBCXX] = "libstdc++.so.6",
};

static bool exists(int root, const char *path) {
    cleanup_close int fd = in_root_open(root, path, O_PATH);
    return fd >= 0;
}

static bool read_in(int root, const char *directory, const char *name, struct elf_file *file) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", directory, name) >= (int)sizeof path)
        return false;
    cleanup_close int fd = regular_file_open(root, path);
    return fd >= 0 && elf_file_read(fd, file);
}

static bool find(int root, const Stowage__V1__ContainerPlan *plan, const char *name, struct elf_file *file) {
    for (size_t i = 0; i < plan->n_library_directories; i++) {
        if (read_in(root, plan->library_directories[i], name, file))
            return true;
    }
    for (size_t i = 0; i < sizeof DIRECTORIES / sizeof *DIRECTORIES; i++) {
        if (read_in(root, DIRECTORIES[i], name, file))
            return true;
    }
    return false;
}

bool image_has_glibc_loader(int root) {
    return exists(root, LOADER);
}

void image_libc_find(int root, const Stowage__V1__ContainerPlan *plan, struct image_libc *libc) {
    struct elf_file file;
    *libc = (struct image_libc){.kind = IMAGE_LIBC_UNKNOWN};
    if (!image_has_glibc_loader(root)) {
        if (exists(root, MUSL_LOADER))
            libc->kind = IMAGE_LIBC_MUSL;
        return;
    }
    for (int family = 0; family < ELF_FAMILIES; family++) {
        if (!find(root, plan, LIBRARIES[family], &file))
            continue;
        libc->has[family] = file.defines[family];
        if (family == ELF_GLIBC) {
            libc->kind = IMAGE_LIBC_GLIBC;
            libc->machine = file.machine;
        }
    }
}
