// What a file is, as `stowage-unpack --identify` tells it.
#pragma once

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { IDENTITY_MEMBERS_MAX = 10000, IDENTITY_TEXT_MAX = 144 };

struct archive_member {
    const char *name;
    uint64_t offset_bytes;
    uint64_t size_bytes;
};

struct identity {
    // "archive", "tar", "cpio", "squashfs", "sif"; the first is a tar archive with an image's layers in it,
    // all others are root file systems.
    const char *kind;
    // Of the whole file, "sha256:…"; NULL for an archive, which is not read as a whole.
    const char *digest;
    uint64_t size_bytes;
    // Of a SIF file, in the words of OCI, as "amd64"; NULL for others.
    const char *architecture;
    struct archive_member *members;
    size_t member_count;
    // The records that the strings above lie in.
    char *records;
    size_t records_bytes;
};

// Reads records, NUL-terminated "key=value". Takes a copy of them. Unknown keys are left alone.
int identity_parse(struct identity *identity, const char *records, size_t length, struct error *err);

void identity_release(struct identity *identity);

bool identity_is_archive(const struct identity *identity);

// The member of that name, NULL if there is none.
const struct archive_member *identity_member(const struct identity *identity, const char *name);
