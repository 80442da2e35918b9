#include "decompressor.h"
#include "lzo.h"

#include <sqfs/error.h>
#include <stdlib.h>

static void get_configuration(const sqfs_compressor_t *base, sqfs_compressor_config_t *config) {
    (void)base;
    *config = (sqfs_compressor_config_t){.id = SQFS_COMP_LZO, .flags = SQFS_COMP_FLAG_UNCOMPRESS};
}

static int write_options(sqfs_compressor_t *base, sqfs_file_t *file) {
    (void)base, (void)file;
    return SQFS_ERROR_UNSUPPORTED;
}

// They say how the image was compressed, which does not matter any more.
static int read_options(sqfs_compressor_t *base, sqfs_file_t *file) {
    (void)base, (void)file;
    return 0;
}

static sqfs_s32 decompress_lzo(sqfs_compressor_t *base, const sqfs_u8 *in, sqfs_u32 size, sqfs_u8 *out,
                               sqfs_u32 out_size) {
    (void)base;
    ssize_t length = lzo_decompress(in, size, out, out_size);
    return length < 0 ? SQFS_ERROR_COMPRESSOR : (sqfs_s32)length;
}

static void destroy(sqfs_object_t *base) {
    free(base);
}

static int create_lzo(sqfs_compressor_t **out) {
    sqfs_compressor_t *lzo = calloc(1, sizeof *lzo);
    if (!lzo)
        return SQFS_ERROR_ALLOC;
    *lzo = (sqfs_compressor_t){.base = {.destroy = destroy},
                               .get_configuration = get_configuration,
                               .write_options = write_options,
                               .read_options = read_options,
                               .do_block = decompress_lzo};
    *out = lzo;
    return 0;
}

int decompressor_create(const sqfs_super_t *super, sqfs_compressor_t **out) {
    if (super->compression_id == SQFS_COMP_LZO)
        return create_lzo(out);
    sqfs_compressor_config_t config;
    int result = sqfs_compressor_config_init(&config, super->compression_id, super->block_size,
                                             SQFS_COMP_FLAG_UNCOMPRESS);
    return result == 0 ? sqfs_compressor_create(&config, out) : result;
}
