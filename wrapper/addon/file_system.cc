#include "file_system.h"

#include "arguments.h"
#include "system_error.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

Napi::Value LockFile(const Napi::CallbackInfo &info) {
    const Napi::Env env = info.Env();
    const int fd = DescriptorArgument(info, 0);
    const int operation = BooleanArgument(info, 1) ? LOCK_EX : LOCK_SH;
    if (flock(fd, operation | LOCK_NB) == 0) {
        return Napi::Boolean::New(env, true);
    }
    if (errno == EWOULDBLOCK) {
        return Napi::Boolean::New(env, false);
    }
    throw SystemError(env, errno, "flock");
}

Napi::Value OpenTemporary(const Napi::CallbackInfo &info) {
    const std::string directory = PathArgument(info, 0);
    const int fd = open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        throw SystemError(info.Env(), errno, "open", directory);
    }
    return Napi::Number::New(info.Env(), fd);
}

Napi::Value LinkTemporary(const Napi::CallbackInfo &info) {
    const Napi::Env env = info.Env();
    const int fd = DescriptorArgument(info, 0);
    const std::string path = PathArgument(info, 1);
    // AT_EMPTY_PATH would need CAP_DAC_READ_SEARCH; following the link in /proc does not.
    const std::string source = "/proc/self/fd/" + std::to_string(fd);
    if (linkat(AT_FDCWD, source.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) != 0) {
        throw SystemError(env, errno, "linkat", path);
    }
    return env.Undefined();
}
