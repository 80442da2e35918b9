#include "durable_file.h"

#include "arguments.h"
#include "system_error.h"

#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <string>
#include <unistd.h>
#include <utility>

namespace {

class Descriptor {
  public:
    explicit Descriptor(int fd) : fd_(fd) {
    }
    ~Descriptor() {
        if (fd_ >= 0) {
            close(fd_);
        }
    }
    Descriptor(const Descriptor &) = delete;
    Descriptor &operator=(const Descriptor &) = delete;

    int Get() const {
        return fd_;
    }

  private:
    const int fd_;
};

// One failed call, or none.
struct Outcome {
    int error_number = 0;
    const char *syscall = nullptr;
};

Outcome Failed(const char *syscall) {
    return {errno, syscall};
}

Outcome Append(const std::string &path, const std::string &text) {
    const Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    if (file.Get() < 0) {
        return Failed("open");
    }
    for (size_t done = 0; done < text.size();) {
        const ssize_t written = write(file.Get(), text.data() + done, text.size() - done);
        if (written < 0 && errno != EINTR) {
            return Failed("write");
        }
        done += written < 0 ? 0 : static_cast<size_t>(written);
    }
    return fsync(file.Get()) == 0 ? Outcome{} : Failed("fsync");
}

Outcome Sync(const std::string &path) {
    const Descriptor directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (directory.Get() < 0) {
        return Failed("open");
    }
    return fsync(directory.Get()) == 0 ? Outcome{} : Failed("fsync");
}

// `Work` returns an Outcome, in one of libuv's threads.
template <typename Work> class FileWorker : public Napi::AsyncWorker {
  public:
    FileWorker(Napi::Env env, std::string path, Work work)
        : AsyncWorker(env, "stowage-durable-file"), path_(std::move(path)), work_(std::move(work)),
          deferred_(Napi::Promise::Deferred::New(env)) {
    }

    Napi::Promise Promise() const {
        return deferred_.Promise();
    }

    void Execute() override {
        outcome_ = work_(path_);
    }

    void OnOK() override {
        if (outcome_.syscall != nullptr) {
            deferred_.Reject(SystemError(Env(), outcome_.error_number, outcome_.syscall, path_).Value());
        } else {
            deferred_.Resolve(Env().Undefined());
        }
    }

  private:
    const std::string path_;
    const Work work_;
    Outcome outcome_;
    Napi::Promise::Deferred deferred_;
};

template <typename Work> Napi::Value Begin(Napi::Env env, std::string path, Work work) {
    auto worker = std::make_unique<FileWorker<Work>>(env, std::move(path), std::move(work));
    const Napi::Promise promise = worker->Promise();
    worker->Queue();
    // It deletes itself when done.
    static_cast<void>(worker.release());
    return promise;
}

} // namespace

Napi::Value AppendDurably(const Napi::CallbackInfo &info) {
    if (!info[1].IsString()) {
        throw Napi::TypeError::New(info.Env(), "argument 1 must be a string");
    }
    const std::string text = info[1].As<Napi::String>().Utf8Value();
    return Begin(info.Env(), PathArgument(info, 0),
                 [text](const std::string &path) { return Append(path, text); });
}

Napi::Value SyncDirectory(const Napi::CallbackInfo &info) {
    return Begin(info.Env(), PathArgument(info, 0), Sync);
}
