#include "directory.h"
#include "cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <sqfs/dir.h>
#include <string.h>
#include <sys/stat.h>

enum { METADATA_BLOCK = 8192 };

static void free_by_library(void *pointer) {
    sqfs_free(*(void **)pointer);
}

#define cleanup_sqfs_free __attribute__((cleanup(free_by_library)))

static int compare(const uint8_t *stored, size_t length, const char *name, size_t name_length) {
    int order = memcmp(stored, name, length < name_length ? length : name_length);
    if (order != 0)
        return order;
    return length < name_length ? -1 : length > name_length;
}

// Large directories have an index: for each block of the listing, the first name in it.
static void skip_by_index(const struct reader *reader, const sqfs_inode_generic_t *directory,
                          const char *name, size_t length, sqfs_readdir_state_t *state) {
    if (directory->base.type != SQFS_INODE_EXT_DIR)
        return;
    const sqfs_readdir_state_t start = *state;
    for (size_t i = 0; i < directory->data.dir_ext.inodex_count; i++) {
        cleanup_sqfs_free sqfs_dir_index_t *index = NULL;
        if (sqfs_inode_unpack_dir_index_entry(directory, &index, i) != 0 ||
            compare(index->name, (size_t)index->size + 1, name, length) > 0 || index->index > start.init.size)
            return;
        state->current.block = reader->image->super.directory_table_start + index->start_block;
        state->current.offset = (start.init.offset + index->index) % METADATA_BLOCK;
        state->current.size = start.init.size - index->index;
    }
}

int directory_find(struct reader *reader, const sqfs_inode_generic_t *directory, const char *name,
                   uint64_t *reference) {
    const size_t length = strlen(name);
    sqfs_readdir_state_t state;
    int code = sqfs_readdir_state_init(&state, &reader->image->super, directory);
    if (code != 0)
        return image_errno(code);
    skip_by_index(reader, directory, name, length, &state);
    for (;;) {
        cleanup_sqfs_free sqfs_dir_entry_t *entry = NULL;
        sqfs_u32 number;
        sqfs_u64 found;
        code = sqfs_meta_reader_readdir(reader->listings, &state, &entry, &number, &found);
        if (code != 0)
            return code > 0 ? -ENOENT : image_errno(code);
        int order = compare(entry->name, (size_t)entry->size + 1, name, length);
        if (order == 0) {
            *reference = found;
            return 0;
        }
        // They are sorted.
        if (order > 0)
            return -ENOENT;
    }
}

int directory_seek(struct reader *reader, uint64_t reference, uint64_t position) {
    const sqfs_inode_generic_t *directory;
    if (reader->listing.directory == reference && reader->listing.position == position)
        return 0;
    int result = reader_inode(reader, reference, &directory);
    if (result != 0)
        return result;
    if (!S_ISDIR(directory->base.mode))
        return -ENOTDIR;
    int code = sqfs_readdir_state_init(&reader->listing.state, &reader->image->super, directory);
    for (reader->listing.position = 0; code == 0 && reader->listing.position < position;
         reader->listing.position++) {
        cleanup_sqfs_free sqfs_dir_entry_t *entry = NULL;
        sqfs_u32 number;
        sqfs_u64 found;
        code = sqfs_meta_reader_readdir(reader->listings, &reader->listing.state, &entry, &number, &found);
    }
    reader->listing.directory = code < 0 ? UINT64_MAX : reference;
    return code < 0 ? image_errno(code) : 0;
}

static unsigned char shown_type(unsigned type) {
    switch (type) {
    case SQFS_INODE_DIR:
    case SQFS_INODE_EXT_DIR:
        return DT_DIR;
    case SQFS_INODE_FILE:
    case SQFS_INODE_EXT_FILE:
        return DT_REG;
    case SQFS_INODE_SLINK:
    case SQFS_INODE_EXT_SLINK:
        return DT_LNK;
    default:
        return DT_UNKNOWN;
    }
}

// A name that a path could not hold would confuse whoever lists the directory, the kernel first.
static bool is_name(const uint8_t *name, size_t length) {
    return length < sizeof((struct directory_entry *)NULL)->name && !memchr(name, '/', length) &&
           !memchr(name, '\0', length) && !(length == 1 && name[0] == '.') &&
           !(length == 2 && name[0] == '.' && name[1] == '.');
}

int directory_next(struct reader *reader, struct directory_entry *out, uint64_t *position) {
    for (;;) {
        cleanup_sqfs_free sqfs_dir_entry_t *entry = NULL;
        sqfs_u32 number;
        sqfs_u64 reference;
        int code =
            sqfs_meta_reader_readdir(reader->listings, &reader->listing.state, &entry, &number, &reference);
        if (code != 0)
            return code > 0 ? 0 : image_errno(code);
        *position = ++reader->listing.position;
        const size_t length = (size_t)entry->size + 1;
        out->type = shown_type(entry->type);
        if (out->type == DT_UNKNOWN || !is_name(entry->name, length))
            continue;
        out->reference = reference;
        out->inode_number = number;
        memcpy(out->name, entry->name, length);
        out->name[length] = '\0';
        return 1;
    }
}
