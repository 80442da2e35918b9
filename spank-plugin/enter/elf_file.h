// What the dynamic loader will want to know of a library. Pure: reads the file and nothing else, takes
// whatever it holds, and believes none of it.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { ELF_NAME_MAX = 256 };

// Symbol versions that stand for releases of a library.
enum elf_family {
    // Of libc.so.6 and what belongs to it.
    ELF_GLIBC,
    // Of libstdc++.so.6.
    ELF_GLIBCXX,
    ELF_FAMILIES,
};

// 2.38, or 3.4.30; all 0 if there is none.
struct elf_version {
    uint16_t part[3];
};

struct elf_file {
    // EM_X86_64 …
    uint16_t machine;
    // DT_SONAME; empty if it has none.
    char soname[ELF_NAME_MAX];
    // The newest version of each family that it needs, and that it is.
    struct elf_version needs[ELF_FAMILIES];
    struct elf_version defines[ELF_FAMILIES];
};

// True if `fd`, a regular file, is a dynamically linked object of 64 bits in this machine's byte order.
// Nothing is written otherwise. What is damaged in it reads as if it were not there.
bool elf_file_read(int fd, struct elf_file *file);

// Less than, equal to or greater than 0, as with strcmp().
int elf_version_compare(const struct elf_version *one, const struct elf_version *other);

// "GLIBC_2.38"
void elf_version_print(enum elf_family family, const struct elf_version *version, char text[ELF_NAME_MAX]);
