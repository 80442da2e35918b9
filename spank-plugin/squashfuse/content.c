#include "content.h"

#include <errno.h>
#include <sqfs/block.h>
#include <string.h>

static const uint32_t NO_FRAGMENT = UINT32_MAX;

// A piece of a file that lies in one block.
struct piece {
    struct stored_block stored;
    // Where in the block, and how much of it.
    size_t from;
    size_t size;
};

static int read_piece(struct reader *reader, const struct piece *piece, uint8_t *buffer) {
    struct block block;
    int result = block_get(reader->image->blocks, &reader->blocks, piece->stored, &block);
    if (result != 0)
        return result;
    if (piece->from > block.size || piece->size > block.size - piece->from)
        result = -EIO;
    else
        memcpy(buffer, block.data + piece->from, piece->size);
    block_release(reader->image->blocks, &block);
    return result;
}

// The end of the file, together with those of others in a block of its own.
static int read_fragment(struct reader *reader, const sqfs_inode_generic_t *inode, size_t from, size_t size,
                         uint8_t *buffer) {
    uint32_t index, offset;
    sqfs_fragment_t fragment;
    if (sqfs_inode_get_frag_location(inode, &index, &offset) != 0 || index == NO_FRAGMENT ||
        sqfs_frag_table_lookup(reader->image->fragments, index, &fragment) != 0)
        return -EIO;
    struct piece piece = {{fragment.start_offset, fragment.size}, (size_t)offset + from, size};
    return read_piece(reader, &piece, buffer);
}

static uint32_t stored_length(uint32_t entry) {
    return entry & ((UINT32_C(1) << 24) - 1);
}

ssize_t content_read(struct reader *reader, const sqfs_inode_generic_t *inode, uint64_t offset,
                     uint8_t *buffer, size_t size) {
    uint64_t file_size, position;
    if (sqfs_inode_get_file_size(inode, &file_size) != 0 ||
        sqfs_inode_get_file_block_start(inode, &position) != 0)
        return -EIO;
    if (offset >= file_size)
        return 0;
    if (size > file_size - offset)
        size = (size_t)(file_size - offset);

    const uint32_t block_size = reader->image->super.block_size;
    const size_t blocks = sqfs_inode_get_file_block_count(inode);
    uint64_t index = offset / block_size;
    size_t from = offset % block_size;
    for (uint64_t i = 0; i < index && i < blocks; i++)
        position += stored_length(inode->extra[i]);

    size_t done = 0;
    while (done < size) {
        size_t wanted = size - done < block_size - from ? size - done : block_size - from;
        int result = 0;
        if (index >= blocks) {
            result = read_fragment(reader, inode, from, wanted, buffer + done);
        } else if (stored_length(inode->extra[index]) == 0) {
            memset(buffer + done, 0, wanted);
        } else {
            struct piece piece = {{position, inode->extra[index]}, from, wanted};
            result = read_piece(reader, &piece, buffer + done);
            position += stored_length(inode->extra[index]);
        }
        if (result != 0)
            return result;
        done += wanted;
        from = 0;
        index++;
    }
    return (ssize_t)done;
}
