#ifndef STOWAGE_ADDON_SYNC_DIRECTORY_H
#define STOWAGE_ADDON_SYNC_DIRECTORY_H

#include <napi.h>

// syncDirectory(path) -> promise, resolved when the names in the directory are on the disk. One thread does
// all of it: to hand each call to one costs more than the calls.
Napi::Value SyncDirectory(const Napi::CallbackInfo &info);

#endif
