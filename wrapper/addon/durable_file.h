#ifndef STOWAGE_ADDON_DURABLE_FILE_H
#define STOWAGE_ADDON_DURABLE_FILE_H

#include <napi.h>

// appendDurably(path, text) -> promise, resolved when the text is at the end of the file, which is made with
// mode 0600 if there is none, and on the disk. One thread does all of it: to hand each call to one costs more
// than the calls.
Napi::Value AppendDurably(const Napi::CallbackInfo &info);

// syncDirectory(path) -> promise, resolved when the names in the directory are on the disk.
Napi::Value SyncDirectory(const Napi::CallbackInfo &info);

#endif
