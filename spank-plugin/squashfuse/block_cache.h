// Blocks of the image as they are when decompressed, kept for a while and shared by all threads. The kernel
// asks for 128 KiB at a time, blocks may hold 1 MiB, and one holds the ends of many small files.
#pragma once

#include <sqfs/compressor.h>
#include <sqfs/io.h>
#include <stddef.h>
#include <stdint.h>

struct block_cache;

struct block {
    const uint8_t *data;
    size_t size;
    struct block_slot *slot;
};

// Where a block is and how it is stored, as squashfs writes it: the length, and a bit for "not compressed".
struct stored_block {
    uint64_t position;
    uint32_t length;
};

// What a thread decompresses with.
struct block_source {
    sqfs_file_t *file;
    sqfs_compressor_t *compressor;
    // Room for one stored block, `block_size` bytes.
    uint8_t *scratch;
};

// Room for blocks of `block_size` bytes, enough for `threads` that hold one each. NULL without memory.
struct block_cache *block_cache_create(uint32_t block_size, unsigned threads);

// Gets the block, decompressing it unless it is there. The caller holds it until block_release(), and must
// not wait for another one meanwhile. Returns 0 or a negative errno.
int block_get(struct block_cache *cache, const struct block_source *source, struct stored_block stored,
              struct block *block);

void block_release(struct block_cache *cache, struct block *block);
