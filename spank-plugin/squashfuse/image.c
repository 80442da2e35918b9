#include "image.h"
#include "attributes.h"
#include "decompressor.h"
#include "image_file.h"

#include <errno.h>
#include <sqfs/error.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint64_t NO_TABLE = UINT64_MAX;
static const uint64_t NO_REFERENCE = UINT64_MAX;

int image_errno(int code) {
    return code == SQFS_ERROR_ALLOC ? -ENOMEM : -EIO;
}

static int explain(int code, struct error *err) {
    switch (code) {
    case SQFS_ERROR_ALLOC:
        return error_set(err, "there is not enough memory to read the squashfs image");
    case SFQS_ERROR_SUPER_VERSION:
        return error_set(err, "the squashfs image is not of version 4.0; make it again with mksquashfs");
    case SFQS_ERROR_SUPER_MAGIC:
        return error_set(err, "the file is not a squashfs image");
    case SQFS_ERROR_COMPRESSOR:
    case SQFS_ERROR_UNSUPPORTED:
        return error_set(err, "the squashfs image is compressed in a way that Stowage cannot read; make it "
                              "again with mksquashfs and zstd, gzip, lzo, lz4 or xz");
    default:
        return error_set(err, "the squashfs image is damaged (error %d); copy or make it again", -code);
    }
}

static int read_tables(struct image *image) {
    sqfs_compressor_t *compressor = NULL;
    int result = decompressor_create(&image->super, &compressor);
    if (result == 0) {
        image->fragments = sqfs_frag_table_create(0);
        result = image->fragments
                     ? sqfs_frag_table_read(image->fragments, image->file, &image->super, compressor)
                     : SQFS_ERROR_ALLOC;
    }
    sqfs_destroy(compressor);
    return result;
}

int image_open(struct image *image, int fd, unsigned threads, struct error *err) {
    *image = (struct image){.uid = geteuid(), .gid = getegid()};
    image->file = image_file_open(fd, err);
    if (!image->file)
        return -1;
    int result = sqfs_super_read(&image->super, image->file);
    if (result == 0)
        result = read_tables(image);
    if (result != 0)
        return explain(result, err);
    image->blocks = block_cache_create(image->super.block_size, threads);
    if (!image->blocks)
        return explain(SQFS_ERROR_ALLOC, err);

    struct reader reader;
    const sqfs_inode_generic_t *root;
    if (reader_open(&reader, image, err) != 0)
        return -1;
    if (reader_inode(&reader, image->super.root_inode_ref, &root) != 0 || !S_ISDIR(root->base.mode))
        return explain(SQFS_ERROR_CORRUPTED, err);
    image->has_attributes = attributes_any(&reader);
    return 0;
}

static uint64_t end_of_listings(const sqfs_super_t *super) {
    uint64_t end = super->id_table_start;
    if (super->fragment_table_start < end)
        end = super->fragment_table_start;
    if (super->export_table_start < end)
        end = super->export_table_start;
    return end;
}

static int make_readers(struct reader *reader) {
    const struct image *image = reader->image;
    const sqfs_super_t *super = &image->super;
    int result = decompressor_create(super, &reader->blocks.compressor);
    if (result != 0)
        return result;
    sqfs_compressor_t *compressor = reader->blocks.compressor;
    reader->blocks.file = image->file;
    reader->blocks.scratch = malloc(super->block_size);
    reader->inodes = sqfs_meta_reader_create(image->file, compressor, super->inode_table_start,
                                             super->directory_table_start);
    reader->listings = sqfs_meta_reader_create(image->file, compressor, super->directory_table_start,
                                               end_of_listings(super));
    if (!reader->blocks.scratch || !reader->inodes || !reader->listings)
        return SQFS_ERROR_ALLOC;
    if (super->xattr_id_table_start == NO_TABLE || (super->flags & SQFS_FLAG_NO_XATTRS))
        return 0;
    reader->attributes = sqfs_xattr_reader_create(0);
    if (!reader->attributes)
        return SQFS_ERROR_ALLOC;
    return sqfs_xattr_reader_load(reader->attributes, super, image->file, compressor);
}

int reader_open(struct reader *reader, const struct image *image, struct error *err) {
    memset(reader, 0, sizeof *reader);
    reader->image = image;
    reader->listing.directory = NO_REFERENCE;
    for (unsigned i = 0; i < KNOWN_INODES; i++)
        reader->known[i].reference = NO_REFERENCE;
    int result = make_readers(reader);
    return result == 0 ? 0 : explain(result, err);
}

int reader_inode(struct reader *reader, uint64_t reference, const sqfs_inode_generic_t **inode) {
    for (unsigned i = 0; i < KNOWN_INODES; i++) {
        if (reader->known[i].reference == reference) {
            *inode = reader->known[i].inode;
            return 0;
        }
    }
    sqfs_inode_generic_t *read;
    int result = sqfs_meta_reader_read_inode(reader->inodes, &reader->image->super, reference >> 16,
                                             reference & 0xffff, &read);
    if (result != 0)
        return image_errno(result);
    struct known_inode *known = &reader->known[reader->next_known];
    reader->next_known = (reader->next_known + 1) % KNOWN_INODES;
    sqfs_free(known->inode);
    *known = (struct known_inode){.reference = reference, .inode = read};
    *inode = read;
    return 0;
}
