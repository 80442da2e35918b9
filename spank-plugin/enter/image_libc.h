// Which C and C++ libraries the programs of an image will find.
#pragma once

#include "elf_file.h"

#include <stowage/v1/image.pb-c.h>

enum image_libc_kind {
    // None that could be found: programs without one, or one in an unusual place.
    IMAGE_LIBC_UNKNOWN,
    IMAGE_LIBC_GLIBC,
    IMAGE_LIBC_MUSL,
};

struct image_libc {
    enum image_libc_kind kind;
    // Of the C library; 0 unless it is glibc's.
    uint16_t machine;
    // The newest version of each family that is there; all 0 if unknown.
    struct elf_version has[ELF_FAMILIES];
};

// Looks where the plan's library directories and the dynamic loader look. `root` with everything mounted.
void image_libc_find(int root, const Stowage__V1__ContainerPlan *plan, struct image_libc *libc);

// Whether the dynamic loader of glibc is there, without which nobody asks for an ld.so.cache.
bool image_has_glibc_loader(int root);
