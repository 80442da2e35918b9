#include "elf_file.h"

#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// More than the largest libraries have, and little enough to be read at once.
enum { SEGMENTS_MAX = 64, DYNAMIC_MAX = 512, VERSIONS_MAX = 4096 };

static const char *const PREFIXES[ELF_FAMILIES] = {[ELF_GLIBC] = "GLIBC_", [ELF_GLIBCXX] = "GLIBCXX_"};

struct object {
    int fd;
    Elf64_Phdr segments[SEGMENTS_MAX];
    size_t segment_count;
    // Virtual addresses; 0 if missing.
    uint64_t strings;
    uint64_t needed;
    uint64_t defined;
    uint64_t soname;
    bool has_soname;
    // How many version records may still be read.
    size_t versions_left;
};

static bool read_at(int fd, uint64_t offset, void *buffer, size_t size) {
    if (offset > INT64_MAX - size)
        return false;
    for (size_t done = 0; done < size;) {
        ssize_t got = pread(fd, (char *)buffer + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        done += (size_t)got;
    }
    return true;
}

// Where in the file the byte of that address is.
static bool offset_of(const struct object *object, uint64_t address, uint64_t *offset) {
    for (size_t i = 0; i < object->segment_count; i++) {
        const Elf64_Phdr *segment = &object->segments[i];
        if (segment->p_type == PT_LOAD && address >= segment->p_vaddr &&
            address - segment->p_vaddr < segment->p_filesz)
            return !__builtin_add_overflow(segment->p_offset, address - segment->p_vaddr, offset);
    }
    return false;
}

static bool read_address(const struct object *object, uint64_t address, void *buffer, size_t size) {
    uint64_t offset;
    return offset_of(object, address, &offset) && read_at(object->fd, offset, buffer, size);
}

// False if it is longer than fits.
static bool read_string(const struct object *object, uint64_t index, char text[ELF_NAME_MAX]) {
    uint64_t address, offset;
    if (object->strings == 0 || __builtin_add_overflow(object->strings, index, &address) ||
        !offset_of(object, address, &offset) || offset > INT64_MAX - ELF_NAME_MAX)
        return false;
    // It may end with the file.
    ssize_t got = pread(object->fd, text, ELF_NAME_MAX, (off_t)offset);
    return got > 0 && memchr(text, '\0', (size_t)got) != NULL;
}

static bool parse_version(const char *text, const char *prefix, struct elf_version *version) {
    size_t length = strlen(prefix);
    unsigned major, minor, patch = 0;
    int used = 0;
    if (strncmp(text, prefix, length) != 0)
        return false;
    text += length;
    if (sscanf(text, "%5u.%5u%n.%5u%n", &major, &minor, &used, &patch, &used) < 2 || text[used] != '\0' ||
        major > UINT16_MAX || minor > UINT16_MAX || patch > UINT16_MAX)
        return false;
    *version = (struct elf_version){{(uint16_t)major, (uint16_t)minor, (uint16_t)patch}};
    return true;
}

static void take_version(const struct object *object, uint64_t name,
                         struct elf_version newest[ELF_FAMILIES]) {
    char text[ELF_NAME_MAX];
    struct elf_version version;
    if (!read_string(object, name, text))
        return;
    for (int family = 0; family < ELF_FAMILIES; family++) {
        if (parse_version(text, PREFIXES[family], &version) &&
            elf_version_compare(&version, &newest[family]) > 0)
            newest[family] = version;
    }
}

// Goes on by as much as the record says. False at the end of the list, which also is where it goes in
// circles.
static bool next(struct object *object, uint64_t *address, uint32_t step) {
    if (step == 0 || object->versions_left == 0)
        return false;
    object->versions_left--;
    return !__builtin_add_overflow(*address, (uint64_t)step, address);
}

static void read_needed(struct object *object, struct elf_version newest[ELF_FAMILIES]) {
    Elf64_Verneed library;
    uint64_t at = object->needed;
    do {
        Elf64_Vernaux version;
        if (!read_address(object, at, &library, sizeof library))
            return;
        uint64_t inner = at;
        for (bool more = next(object, &inner, library.vn_aux);
             more && read_address(object, inner, &version, sizeof version);
             more = next(object, &inner, version.vna_next)) {
            if (!(version.vna_flags & VER_FLG_WEAK))
                take_version(object, version.vna_name, newest);
        }
    } while (next(object, &at, library.vn_next));
}

static void read_defined(struct object *object, struct elf_version newest[ELF_FAMILIES]) {
    Elf64_Verdef version;
    uint64_t at = object->defined;
    do {
        Elf64_Verdaux name;
        if (!read_address(object, at, &version, sizeof version))
            return;
        // The first name is the version's own, further ones are what it follows.
        uint64_t inner = at;
        if (next(object, &inner, version.vd_aux) && read_address(object, inner, &name, sizeof name))
            take_version(object, name.vda_name, newest);
    } while (next(object, &at, version.vd_next));
}

static void take_entry(struct object *object, const Elf64_Dyn *entry) {
    switch (entry->d_tag) {
    case DT_STRTAB:
        object->strings = entry->d_un.d_ptr;
        break;
    case DT_VERNEED:
        object->needed = entry->d_un.d_ptr;
        break;
    case DT_VERDEF:
        object->defined = entry->d_un.d_ptr;
        break;
    case DT_SONAME:
        object->soname = entry->d_un.d_val;
        object->has_soname = true;
        break;
    default:
        break;
    }
}

static bool read_dynamic(struct object *object) {
    for (size_t i = 0; i < object->segment_count; i++) {
        const Elf64_Phdr *segment = &object->segments[i];
        if (segment->p_type != PT_DYNAMIC)
            continue;
        Elf64_Dyn entries[DYNAMIC_MAX];
        size_t count = segment->p_filesz / sizeof *entries;
        if (count > DYNAMIC_MAX)
            count = DYNAMIC_MAX;
        if (!read_at(object->fd, segment->p_offset, entries, count * sizeof *entries))
            return false;
        for (size_t j = 0; j < count && entries[j].d_tag != DT_NULL; j++)
            take_entry(object, &entries[j]);
        return true;
    }
    return false;
}

static bool read_header(int fd, Elf64_Ehdr *header) {
    const unsigned char order = __BYTE_ORDER == __LITTLE_ENDIAN ? ELFDATA2LSB : ELFDATA2MSB;
    return read_at(fd, 0, header, sizeof *header) && memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 &&
           header->e_ident[EI_CLASS] == ELFCLASS64 && header->e_ident[EI_DATA] == order &&
           header->e_phentsize == sizeof(Elf64_Phdr) && header->e_phnum > 0;
}

bool elf_file_read(int fd, struct elf_file *file) {
    Elf64_Ehdr header;
    struct object object = {.fd = fd, .versions_left = VERSIONS_MAX};
    if (!read_header(fd, &header))
        return false;
    object.segment_count = header.e_phnum < SEGMENTS_MAX ? header.e_phnum : SEGMENTS_MAX;
    if (!read_at(fd, header.e_phoff, object.segments, object.segment_count * sizeof *object.segments) ||
        !read_dynamic(&object))
        return false;
    struct elf_file read = {.machine = header.e_machine};
    if (!object.has_soname || !read_string(&object, object.soname, read.soname))
        read.soname[0] = '\0';
    if (object.needed)
        read_needed(&object, read.needs);
    if (object.defined)
        read_defined(&object, read.defines);
    *file = read;
    return true;
}

int elf_version_compare(const struct elf_version *one, const struct elf_version *other) {
    for (int i = 0; i < 3; i++) {
        if (one->part[i] != other->part[i])
            return one->part[i] < other->part[i] ? -1 : 1;
    }
    return 0;
}

void elf_version_print(enum elf_family family, const struct elf_version *version, char text[ELF_NAME_MAX]) {
    const uint16_t *part = version->part;
    int length = snprintf(text, ELF_NAME_MAX, "%s%u.%u", PREFIXES[family], part[0], part[1]);
    if (part[2] != 0)
        snprintf(text + length, (size_t)(ELF_NAME_MAX - length), ".%u", part[2]);
}
