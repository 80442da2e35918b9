#ifndef STOWAGE_ADDON_HEAP_H
#define STOWAGE_ADDON_HEAP_H

#include <napi.h>

// trimHeap() gives memory that was freed back to the system; does nothing with a C library that keeps none.
void TrimHeap(const Napi::CallbackInfo &info);

#endif
