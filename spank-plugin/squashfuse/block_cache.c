#include "block_cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

enum { CACHE_BYTES = 16 << 20, SLOTS_MAX = 64, NOT_COMPRESSED = 1 << 24 };

enum slot_state { EMPTY, FILLING, READY };

struct block_slot {
    enum slot_state state;
    uint64_t position;
    unsigned holders;
    uint64_t last_use;
    size_t size;
    uint8_t *data;
};

struct block_cache {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    uint64_t clock;
    uint32_t block_size;
    unsigned count;
    struct block_slot slots[];
};

struct block_cache *block_cache_create(uint32_t block_size, unsigned threads) {
    unsigned count = CACHE_BYTES / block_size;
    if (count > SLOTS_MAX)
        count = SLOTS_MAX;
    if (count < 2 * threads)
        count = 2 * threads;
    struct block_cache *cache = calloc(1, sizeof *cache + count * sizeof *cache->slots);
    if (!cache)
        return NULL;
    pthread_mutex_init(&cache->lock, NULL);
    pthread_cond_init(&cache->filled, NULL);
    cache->block_size = block_size;
    cache->count = count;
    return cache;
}

static struct block_slot *find(struct block_cache *cache, uint64_t position) {
    for (unsigned i = 0; i < cache->count; i++) {
        struct block_slot *slot = &cache->slots[i];
        if (slot->state != EMPTY && slot->position == position)
            return slot;
    }
    return NULL;
}

// The one that was used least recently. There is always one: each thread holds at most one, and there are
// twice as many.
static struct block_slot *take_unused(struct block_cache *cache) {
    struct block_slot *oldest = NULL;
    for (unsigned i = 0; i < cache->count; i++) {
        struct block_slot *slot = &cache->slots[i];
        if (slot->holders > 0)
            continue;
        if (slot->state == EMPTY)
            return slot;
        if (!oldest || slot->last_use < oldest->last_use)
            oldest = slot;
    }
    return oldest;
}

static int fill(struct block_slot *slot, const struct block_source *source, struct stored_block stored,
                uint32_t block_size) {
    uint32_t length = stored.length & ~(uint32_t)NOT_COMPRESSED;
    bool compressed = (stored.length & NOT_COMPRESSED) == 0;
    if (length == 0 || length > block_size)
        return -EIO;
    if (!slot->data && !(slot->data = malloc(block_size)))
        return -ENOMEM;
    uint8_t *to = compressed ? source->scratch : slot->data;
    if (source->file->read_at(source->file, stored.position, to, length) != 0)
        return -EIO;
    slot->size = length;
    if (!compressed)
        return 0;
    sqfs_s32 size =
        source->compressor->do_block(source->compressor, source->scratch, length, slot->data, block_size);
    if (size <= 0 || (uint32_t)size > block_size)
        return -EIO;
    slot->size = (size_t)size;
    return 0;
}

int block_get(struct block_cache *cache, const struct block_source *source, struct stored_block stored,
              struct block *block) {
    int result = 0;
    pthread_mutex_lock(&cache->lock);
    struct block_slot *slot;
    while ((slot = find(cache, stored.position)) && slot->state == FILLING)
        pthread_cond_wait(&cache->filled, &cache->lock);
    if (slot) {
        slot->holders++;
    } else {
        slot = take_unused(cache);
        slot->state = FILLING;
        slot->position = stored.position;
        slot->holders = 1;
        pthread_mutex_unlock(&cache->lock);
        result = fill(slot, source, stored, cache->block_size);
        pthread_mutex_lock(&cache->lock);
        slot->state = result == 0 ? READY : EMPTY;
        if (result != 0)
            slot->holders = 0;
        pthread_cond_broadcast(&cache->filled);
    }
    slot->last_use = ++cache->clock;
    if (result == 0)
        *block = (struct block){.data = slot->data, .size = slot->size, .slot = slot};
    pthread_mutex_unlock(&cache->lock);
    return result;
}

void block_release(struct block_cache *cache, struct block *block) {
    pthread_mutex_lock(&cache->lock);
    block->slot->holders--;
    pthread_mutex_unlock(&cache->lock);
}
