#ifndef STOWAGE_ADDON_SYSTEM_ERROR_H
#define STOWAGE_ADDON_SYSTEM_ERROR_H

#include <napi.h>

#include <string>

// An Error such as Node's own fs functions throw: code ("EACCES"), errno (negative), syscall and, where
// there is one, path.
Napi::Error SystemError(Napi::Env env, int error_number, const char *syscall, const std::string &path = "");

#endif
