#include "arguments.h"

int DescriptorArgument(const Napi::CallbackInfo &info, size_t index) {
    if (!info[index].IsNumber() || info[index].As<Napi::Number>().Int32Value() < 0) {
        throw Napi::TypeError::New(info.Env(),
                                   "argument " + std::to_string(index) + " must be a file descriptor");
    }
    return info[index].As<Napi::Number>().Int32Value();
}

bool BooleanArgument(const Napi::CallbackInfo &info, size_t index) {
    if (!info[index].IsBoolean()) {
        throw Napi::TypeError::New(info.Env(), "argument " + std::to_string(index) + " must be a boolean");
    }
    return info[index].As<Napi::Boolean>().Value();
}

std::string PathArgument(const Napi::CallbackInfo &info, size_t index) {
    const std::string path = info[index].IsString() ? info[index].As<Napi::String>().Utf8Value() : "";
    // A NUL would silently cut the path short in the kernel.
    if (path.empty() || path.find('\0') != std::string::npos) {
        throw Napi::TypeError::New(info.Env(), "argument " + std::to_string(index) + " must be a path");
    }
    return path;
}
