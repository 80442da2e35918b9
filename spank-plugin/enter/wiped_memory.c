#include "wiped_memory.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void wiped_free(void *memory) {
    if (memory)
        explicit_bzero(memory, malloc_usable_size(memory));
    free(memory);
}

void *wiped_realloc(void *memory, size_t size) {
    size_t there = memory ? malloc_usable_size(memory) : 0;
    if (there >= size && memory)
        return memory;
    // realloc(3) itself would leave a copy behind wherever it moves the block from.
    void *grown = malloc(size);
    if (!grown)
        return NULL;
    if (memory)
        memcpy(grown, memory, there);
    wiped_free(memory);
    return grown;
}
