// Directories: what is in them, and where.
#pragma once

#include "image.h"

// An entry of a directory, its name owned by the caller.
struct directory_entry {
    uint64_t reference;
    uint32_t inode_number;
    // One of DT_DIR, DT_REG and DT_LNK, as the directory says.
    unsigned char type;
    char name[257];
};

// Finds `name`. *reference is its inode, of whatever type. Returns 0 or a negative errno, ENOENT if there is
// none.
int directory_find(struct reader *reader, const sqfs_inode_generic_t *directory, const char *name,
                   uint64_t *reference);

// Makes directory_next() start with entry `position` of the directory at `reference`. Cheap where the last
// one stopped. Returns 0 or a negative errno.
int directory_seek(struct reader *reader, uint64_t reference, uint64_t position);

// The next entry, and the position after it. Devices, pipes and sockets are left out. Returns 1, 0 at the
// end, or a negative errno.
int directory_next(struct reader *reader, struct directory_entry *entry, uint64_t *position);
