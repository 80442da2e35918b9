#include "enter/elf_file.h"
#include "scratch.h"
#include "tap.h"

#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <link.h>
#include <sys/mman.h>
#include <time.h>

// Where this program has its own C library from.
static int open_libc(void) {
    Dl_info info;
    must(dladdr((void *)gnu_get_libc_version, &info) != 0, "dladdr");
    int fd = open(info.dli_fname, O_RDONLY | O_CLOEXEC);
    must(fd >= 0, info.dli_fname);
    return fd;
}

static void check_libc(void) {
    struct elf_file file;
    char version[ELF_NAME_MAX], wanted[ELF_NAME_MAX];
    cleanup_close int fd = open_libc();
    ok(elf_file_read(fd, &file), "the C library is one");
    is_text(file.soname, "libc.so.6", "it has its soname");
    snprintf(wanted, sizeof wanted, "GLIBC_%s", gnu_get_libc_version());
    elf_version_print(ELF_GLIBC, &file.defines[ELF_GLIBC], version);
    is_text(version, wanted, "its newest version is the one that it tells itself");
    ok(file.defines[ELF_GLIBCXX].part[0] == 0, "it is no C++ library");
}

static void check_program(void) {
    struct elf_file file;
    cleanup_close int libc = open_libc(), fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct elf_file has;
    ok(elf_file_read(fd, &file) && elf_file_read(libc, &has), "this program is linked to it");
    is_text(file.soname, "", "a program has no soname");
    ok(file.needs[ELF_GLIBC].part[0] == 2, "it needs some version");
    ok(elf_version_compare(&file.needs[ELF_GLIBC], &has.defines[ELF_GLIBC]) <= 0,
       "which the library has, as it runs");
    ok(file.machine == has.machine, "both are for the same processor");
}

static void check_versions(void) {
    const struct elf_version old = {{2, 9}}, later = {{2, 38}}, patched = {{2, 38, 1}};
    ok(elf_version_compare(&old, &later) < 0, "2.9 is older than 2.38");
    ok(elf_version_compare(&patched, &later) > 0, "2.38.1 is newer");
    ok(elf_version_compare(&later, &later) == 0, "and each is as old as itself");
    char text[ELF_NAME_MAX];
    elf_version_print(ELF_GLIBCXX, &patched, text);
    is_text(text, "GLIBCXX_2.38.1", "they are written as in the library");
}

static int in_memory(const void *content, size_t size) {
    int fd = memfd_create("elf", MFD_CLOEXEC);
    must(fd >= 0 && write(fd, content, size) == (ssize_t)size, "memfd");
    return fd;
}

static void check_others(void) {
    struct elf_file file = {.soname = "as it was"};
    cleanup_close int empty = in_memory("", 0), script = in_memory("#!/bin/sh\n", 10),
                      magic = in_memory("\177ELF\2\1\1", 7);
    ok(!elf_file_read(empty, &file) && !elf_file_read(script, &file) && !elf_file_read(magic, &file),
       "what is empty, a script or cut short is none");
    is_text(file.soname, "as it was", "and nothing is said of it");
}

// Deterministic, so that what fails once fails again.
static unsigned next_random(void) {
    static unsigned long state = 1;
    state = state * 6364136223846793005UL + 1442695040888963407UL;
    return (unsigned)(state >> 33);
}

struct bytes {
    unsigned char *start;
    size_t size;
};

static struct bytes load_libc(void) {
    struct stat info;
    cleanup_close int fd = open_libc();
    must(fstat(fd, &info) == 0, "libc");
    size_t size = (size_t)info.st_size;
    void *start = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    must(start != MAP_FAILED, "mmap");
    return (struct bytes){start, size};
}

static size_t file_offset(struct bytes libc, unsigned type) {
    const ElfW(Ehdr) *header = (const void *)libc.start;
    const ElfW(Phdr) *segments = (const void *)(libc.start + header->e_phoff);
    for (unsigned i = 0; i < header->e_phnum; i++) {
        if (segments[i].p_type == type)
            return segments[i].p_offset;
    }
    return 0;
}

// Bytes of the headers, the dynamic section and the tables of versions, which lie in the first pages, become
// others. The sanitizers watch; here only the end matters.
static void check_damaged(void) {
    struct bytes libc = load_libc();
    size_t dynamic = file_offset(libc, PT_DYNAMIC);
    cleanup_close int fd = in_memory(libc.start, libc.size);
    unsigned read = 0;
    struct timespec began, ended;
    clock_gettime(CLOCK_MONOTONIC, &began);
    for (int round = 0; round < 3000; round++) {
        size_t places[12];
        for (int i = 0; i < 12; i++) {
            static const size_t sizes[] = {64, 1024, 512, 160 * 1024};
            unsigned which = next_random() % 4;
            places[i] = (which == 2 ? dynamic : 0) + next_random() % sizes[which];
            unsigned char byte = (unsigned char)next_random();
            must(pwrite(fd, &byte, 1, (off_t)places[i]) == 1, "memfd");
        }
        struct elf_file file;
        read += elf_file_read(fd, &file);
        for (int i = 0; i < 12; i++)
            must(pwrite(fd, libc.start + places[i], 1, (off_t)places[i]) == 1, "memfd");
    }
    clock_gettime(CLOCK_MONOTONIC, &ended);
    ok(ended.tv_sec - began.tv_sec < 60, "a damaged library keeps nobody busy (%u of 3000 were read)", read);
    struct elf_file file;
    ok(elf_file_read(fd, &file), "one that was mended is read");
    munmap(libc.start, libc.size);
}

int main(void) {
    become_ordinary();
    check_libc();
    check_program();
    check_versions();
    check_others();
    check_damaged();
    return tap_done();
}
