// The squashfs image: what all threads share, and what each has of its own.
#pragma once

#include "block_cache.h"
#include "error.h"

#include <sqfs/frag_table.h>
#include <sqfs/inode.h>
#include <sqfs/meta_reader.h>
#include <sqfs/super.h>
#include <sqfs/xattr_reader.h>
#include <stdbool.h>
#include <sys/types.h>

struct image {
    sqfs_super_t super;
    sqfs_file_t *file;
    sqfs_frag_table_t *fragments;
    struct block_cache *blocks;
    // Whether any file has an attribute that is shown; see attributes.h.
    bool has_attributes;
    // Everything belongs to them.
    uid_t uid;
    gid_t gid;
};

// An inode and where it is, as directories name it: the block of the inode table and the place in that block.
struct known_inode {
    uint64_t reference;
    sqfs_inode_generic_t *inode;
};

enum { KNOWN_INODES = 16 };

// What one thread reads with.
struct reader {
    const struct image *image;
    struct block_source blocks;
    sqfs_meta_reader_t *inodes;
    sqfs_meta_reader_t *listings;
    // NULL if the image has none.
    sqfs_xattr_reader_t *attributes;
    struct known_inode known[KNOWN_INODES];
    unsigned next_known;
    // Where the last listing stopped; see directory.h.
    struct {
        uint64_t directory;
        uint64_t position;
        sqfs_readdir_state_t state;
    } listing;
};

// Reads the superblock and the tables from `fd`, for `threads` readers. Fails with what is wrong with the
// image. It lives until the process ends.
int image_open(struct image *image, int fd, unsigned threads, struct error *err);

// Makes a reader, which lives until the process ends.
int reader_open(struct reader *reader, const struct image *image, struct error *err);

// The inode at `reference`, valid until the next call with this reader. Returns 0 or a negative errno.
int reader_inode(struct reader *reader, uint64_t reference, const sqfs_inode_generic_t **inode);

// A negative errno for a code of libsquashfs.
int image_errno(int code);
