#ifndef STOWAGE_ADDON_FILE_SYSTEM_H
#define STOWAGE_ADDON_FILE_SYSTEM_H

#include <napi.h>

// lockFile(fd, exclusive) -> false if another open file description holds a lock that excludes this one.
Napi::Value LockFile(const Napi::CallbackInfo &info);

// openTemporary(directory) -> descriptor of a nameless file, mode 0600, open for reading and writing. It
// vanishes with its last descriptor unless linkTemporary gave it a name. The caller closes it.
Napi::Value OpenTemporary(const Napi::CallbackInfo &info);

// linkTemporary(fd, path) gives it that name; throws EEXIST if the name is taken.
Napi::Value LinkTemporary(const Napi::CallbackInfo &info);

#endif
