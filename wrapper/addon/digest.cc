#include "digest.h"

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

struct Span {
    const uint8_t *data;
    size_t length;
};

// Runs in one of libuv's threads, where no V8 object may be touched.
class UpdateWorker : public Napi::AsyncWorker {
  public:
    UpdateWorker(Napi::Env env, Digest *digest, const Napi::Array &buffers)
        : AsyncWorker(env, "stowage-digest"), digest_(digest), deferred_(Napi::Promise::Deferred::New(env)) {
        spans_.reserve(buffers.Length());
        for (uint32_t i = 0; i < buffers.Length(); i++) {
            const Napi::Value each = buffers[i];
            if (!each.IsTypedArray() || each.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
                throw Napi::TypeError::New(env, "argument 0 must be an array of Uint8Array");
            }
            const Napi::Uint8Array bytes = each.As<Napi::Uint8Array>();
            spans_.push_back({bytes.Data(), bytes.ByteLength()});
        }
        // Neither the bytes nor the digest may be collected meanwhile.
        Napi::Object kept = Napi::Object::New(env);
        kept.Set("digest", digest->Value());
        kept.Set("buffers", buffers);
        kept_ = Napi::Persistent(kept);
    }

    Napi::Promise Promise() const {
        return deferred_.Promise();
    }

    void Execute() override {
        for (const Span &span : spans_) {
            digest_->UpdateNow(span.data, span.length);
        }
    }

    void OnOK() override {
        digest_->EndUpdate();
        deferred_.Resolve(Env().Undefined());
    }

    void OnError(const Napi::Error &error) override {
        digest_->EndUpdate();
        deferred_.Reject(error.Value());
    }

  private:
    Digest *digest_;
    std::vector<Span> spans_;
    Napi::ObjectReference kept_;
    Napi::Promise::Deferred deferred_;
};

const EVP_MD *AlgorithmArgument(const Napi::CallbackInfo &info) {
    const std::string name = info[0].IsString() ? info[0].As<Napi::String>().Utf8Value() : "";
    if (name == "sha256") {
        return EVP_sha256();
    }
    if (name == "sha512") {
        return EVP_sha512();
    }
    throw Napi::TypeError::New(info.Env(), "argument 0 must be sha256 or sha512");
}

} // namespace

Napi::Function Digest::Define(Napi::Env env) {
    return DefineClass(env, "Digest",
                       {InstanceMethod("update", &Digest::Update), InstanceMethod("end", &Digest::End)});
}

Digest::Digest(const Napi::CallbackInfo &info) : ObjectWrap(info), context_(EVP_MD_CTX_new()) {
    if (!context_ || EVP_DigestInit_ex(context_.get(), AlgorithmArgument(info), nullptr) != 1) {
        throw Napi::Error::New(info.Env(), "OpenSSL has no such digest");
    }
}

void Digest::UpdateNow(const uint8_t *data, size_t length) {
    if (EVP_DigestUpdate(context_.get(), data, length) != 1) {
        throw std::runtime_error("OpenSSL cannot go on with a digest");
    }
}

Napi::Value Digest::Update(const Napi::CallbackInfo &info) {
    RefuseWhileBusy(info.Env());
    if (!info[0].IsArray()) {
        throw Napi::TypeError::New(info.Env(), "argument 0 must be an array of Uint8Array");
    }
    auto worker = std::make_unique<UpdateWorker>(info.Env(), this, info[0].As<Napi::Array>());
    const Napi::Promise promise = worker->Promise();
    worker->Queue();
    busy_ = true;
    // It deletes itself when done.
    static_cast<void>(worker.release());
    return promise;
}

Napi::Value Digest::End(const Napi::CallbackInfo &info) {
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

void Digest::RefuseWhileBusy(Napi::Env env) const {
    if (busy_ || !context_) {
        throw Napi::Error::New(env, busy_ ? "an update is under way" : "this digest has ended");
    }
}
