#include "digest_writer.h"

#include "arguments.h"
#include "system_error.h"

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

// What is written is still in the processor's cache when its digest is computed. Larger writes would also
// make the kernel look for larger pieces of memory, which on a virtual machine it may have to get back from
// the host first.
constexpr size_t stepBytes = size_t{128} * 1024;

struct Span {
    const uint8_t *data;
    size_t length;
};

// Runs in one of libuv's threads, where no V8 object may be touched.
class AppendWorker : public Napi::AsyncWorker {
  public:
    AppendWorker(Napi::Env env, DigestWriter *writer, const Napi::Array &buffers)
        : AsyncWorker(env, "stowage-digest-writer"), writer_(writer),
          deferred_(Napi::Promise::Deferred::New(env)) {
        spans_.reserve(buffers.Length());
        for (uint32_t i = 0; i < buffers.Length(); i++) {
            const Napi::Value each = buffers[i];
            if (!each.IsTypedArray() || each.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
                throw Napi::TypeError::New(env, "argument 0 must be an array of Uint8Array");
            }
            const Napi::Uint8Array bytes = each.As<Napi::Uint8Array>();
            spans_.push_back({bytes.Data(), bytes.ByteLength()});
        }
        // Neither the bytes nor the writer may be collected meanwhile.
        Napi::Object kept = Napi::Object::New(env);
        kept.Set("writer", writer->Value());
        kept.Set("buffers", buffers);
        kept_ = Napi::Persistent(kept);
    }

    Napi::Promise Promise() const {
        return deferred_.Promise();
    }

    void Execute() override {
        for (const Span &span : spans_) {
            error_number_ = writer_->AppendNow(span.data, span.length);
            if (error_number_ != 0) {
                return;
            }
        }
    }

    void OnOK() override {
        writer_->EndAppend();
        if (error_number_ != 0) {
            deferred_.Reject(SystemError(Env(), error_number_, "write").Value());
        } else {
            deferred_.Resolve(Env().Undefined());
        }
    }

    void OnError(const Napi::Error &error) override {
        writer_->EndAppend();
        deferred_.Reject(error.Value());
    }

  private:
    DigestWriter *writer_;
    std::vector<Span> spans_;
    int error_number_ = 0;
    Napi::ObjectReference kept_;
    Napi::Promise::Deferred deferred_;
};

const EVP_MD *AlgorithmArgument(const Napi::CallbackInfo &info, size_t index) {
    const std::string name = info[index].IsString() ? info[index].As<Napi::String>().Utf8Value() : "";
    if (name == "sha256") {
        return EVP_sha256();
    }
    if (name == "sha512") {
        return EVP_sha512();
    }
    throw Napi::TypeError::New(info.Env(), "argument " + std::to_string(index) + " must be sha256 or sha512");
}

} // namespace

Napi::Function DigestWriter::Define(Napi::Env env) {
    return DefineClass(
        env, "DigestWriter",
        {InstanceMethod("append", &DigestWriter::Append), InstanceMethod("end", &DigestWriter::End)});
}

DigestWriter::DigestWriter(const Napi::CallbackInfo &info)
    : ObjectWrap(info), fd_(DescriptorArgument(info, 0)), context_(EVP_MD_CTX_new()) {
    if (!context_ || EVP_DigestInit_ex(context_.get(), AlgorithmArgument(info, 1), nullptr) != 1) {
        throw Napi::Error::New(info.Env(), "OpenSSL has no such digest");
    }
}

int DigestWriter::AppendNow(const uint8_t *data, size_t length) {
    while (length > 0) {
        const ssize_t written = pwrite(fd_, data, std::min(length, stepBytes), position_);
        if (written < 0) {
            if (errno == EINTR) {
                continue;
            }
            return errno;
        }
        const size_t step = static_cast<size_t>(written);
        if (EVP_DigestUpdate(context_.get(), data, step) != 1) {
            throw std::runtime_error("OpenSSL cannot go on with a digest");
        }
        position_ += written;
        data += step;
        length -= step;
    }
    return 0;
}

Napi::Value DigestWriter::Append(const Napi::CallbackInfo &info) {
    RefuseWhileBusy(info.Env());
    if (!info[0].IsArray()) {
        throw Napi::TypeError::New(info.Env(), "argument 0 must be an array of Uint8Array");
    }
    auto worker = std::make_unique<AppendWorker>(info.Env(), this, info[0].As<Napi::Array>());
    const Napi::Promise promise = worker->Promise();
    worker->Queue();
    busy_ = true;
    // It deletes itself when done.
    static_cast<void>(worker.release());
    return promise;
}

Napi::Value DigestWriter::End(const Napi::CallbackInfo &info) {
    RefuseWhileBusy(info.Env());
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    if (!context_ || EVP_DigestFinal_ex(context_.get(), bytes, &length) != 1) {
        throw Napi::Error::New(info.Env(), "this digest has ended");
    }
    context_.reset();
    static const char digits[] = "0123456789abcdef";
    std::string hex;
    hex.reserve(size_t{length} * 2);
    for (unsigned int i = 0; i < length; i++) {
        hex += {digits[bytes[i] >> 4], digits[bytes[i] & 0xf]};
    }
    return Napi::String::New(info.Env(), hex);
}

void DigestWriter::RefuseWhileBusy(Napi::Env env) const {
    if (busy_ || !context_) {
        throw Napi::Error::New(env, busy_ ? "an append is under way" : "this digest has ended");
    }
}
