#include "system_error.h"

#include <cstring>

Napi::Error SystemError(Napi::Env env, int error_number, const char *syscall, const std::string &path) {
    const char *name = strerrorname_np(error_number);
    const std::string code = name != nullptr ? name : "E" + std::to_string(error_number);
    std::string message = code + ": " + strerrordesc_np(error_number) + ", " + syscall;
    if (!path.empty()) {
        message += " '" + path + "'";
    }
    Napi::Error error = Napi::Error::New(env, message);
    error.Set("code", Napi::String::New(env, code));
    error.Set("errno", Napi::Number::New(env, -error_number));
    error.Set("syscall", Napi::String::New(env, syscall));
    if (!path.empty()) {
        error.Set("path", Napi::String::New(env, path));
    }
    return error;
}
