#ifndef STOWAGE_ADDON_DIGEST_H
#define STOWAGE_ADDON_DIGEST_H

#include <napi.h>

#include <memory>

#include <openssl/evp.h>

// new Digest(algorithm), "sha256" or "sha512": what node:crypto's Hash is, off the main thread. Only
// functions are used that OpenSSL has had since 1.1.0; they are Node's own, which exports them to addons.
class Digest : public Napi::ObjectWrap<Digest> {
  public:
    static Napi::Function Define(Napi::Env env);

    explicit Digest(const Napi::CallbackInfo &info);

    void UpdateNow(const uint8_t *data, size_t length);
    void EndUpdate() {
        busy_ = false;
    }

  private:
    struct ContextDeleter {
        void operator()(EVP_MD_CTX *context) const {
            EVP_MD_CTX_free(context);
        }
    };

    // update(buffers) -> promise, resolved when they have been taken in; until then they must not change, and
    // neither method may be called.
    Napi::Value Update(const Napi::CallbackInfo &info);

    // end() -> the digest in hex; the object is of no use afterwards.
    Napi::Value End(const Napi::CallbackInfo &info);

    void RefuseWhileBusy(Napi::Env env) const;

    std::unique_ptr<EVP_MD_CTX, ContextDeleter> context_;
    bool busy_ = false;
};

#endif
