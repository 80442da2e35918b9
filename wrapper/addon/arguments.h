#ifndef STOWAGE_ADDON_ARGUMENTS_H
#define STOWAGE_ADDON_ARGUMENTS_H

#include <napi.h>

#include <string>

// Each throws a TypeError if the argument at `index` is of another kind.
int DescriptorArgument(const Napi::CallbackInfo &info, size_t index);
bool BooleanArgument(const Napi::CallbackInfo &info, size_t index);
std::string PathArgument(const Napi::CallbackInfo &info, size_t index);

#endif
