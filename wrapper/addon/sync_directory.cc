#include "sync_directory.h"

#include "arguments.h"
#include "system_error.h"

#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <string>
#include <unistd.h>
#include <utility>

namespace {

// Runs in one of libuv's threads, where no V8 object may be touched.
class SyncWorker : public Napi::AsyncWorker {
  public:
    SyncWorker(Napi::Env env, std::string path)
        : AsyncWorker(env, "stowage-sync-directory"), path_(std::move(path)),
          deferred_(Napi::Promise::Deferred::New(env)) {
    }

    Napi::Promise Promise() const {
        return deferred_.Promise();
    }

    void Execute() override {
        const int fd = open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) {
            Fail("open");
            return;
        }
        if (fsync(fd) != 0) {
            Fail("fsync");
        }
        close(fd);
    }

    void OnOK() override {
        if (syscall_ != nullptr) {
            deferred_.Reject(SystemError(Env(), error_number_, syscall_, path_).Value());
        } else {
            deferred_.Resolve(Env().Undefined());
        }
    }

  private:
    void Fail(const char *syscall) {
        error_number_ = errno;
        syscall_ = syscall;
    }

    const std::string path_;
    int error_number_ = 0;
    const char *syscall_ = nullptr;
    Napi::Promise::Deferred deferred_;
};

} // namespace

Napi::Value SyncDirectory(const Napi::CallbackInfo &info) {
    auto worker = std::make_unique<SyncWorker>(info.Env(), PathArgument(info, 0));
    const Napi::Promise promise = worker->Promise();
    worker->Queue();
    // It deletes itself when done.
    static_cast<void>(worker.release());
    return promise;
}
