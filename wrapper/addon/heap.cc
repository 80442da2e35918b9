#include "heap.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

void TrimHeap(const Napi::CallbackInfo &) {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}
