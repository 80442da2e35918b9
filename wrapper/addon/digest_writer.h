#ifndef STOWAGE_ADDON_DIGEST_WRITER_H
#define STOWAGE_ADDON_DIGEST_WRITER_H

#include <napi.h>

#include <memory>
#include <sys/types.h>

#include <openssl/evp.h>

// new DigestWriter(fd, algorithm), "sha256" or "sha512": writes a file from its beginning and computes the
// digest of what it writes, off the main thread. Only functions of OpenSSL are used that it has had
// since 1.1.0; they are Node's own, which exports them to addons.
class DigestWriter : public Napi::ObjectWrap<DigestWriter> {
  public:
    static Napi::Function Define(Napi::Env env);

    explicit DigestWriter(const Napi::CallbackInfo &info);

    // Returns 0, or the errno of a write that failed; may be called in any thread, but in one at a time.
    int AppendNow(const uint8_t *data, size_t length);
    void EndAppend() {
        busy_ = false;
    }

  private:
    struct ContextDeleter {
        void operator()(EVP_MD_CTX *context) const {
            EVP_MD_CTX_free(context);
        }
    };

    // append(buffers) -> promise, resolved when they are in the file; until then they must not change, and
    // neither method may be called.
    Napi::Value Append(const Napi::CallbackInfo &info);

    // end() -> the digest in hex; the object is of no use afterwards.
    Napi::Value End(const Napi::CallbackInfo &info);

    void RefuseWhileBusy(Napi::Env env) const;

    const int fd_;
    off_t position_ = 0;
    std::unique_ptr<EVP_MD_CTX, ContextDeleter> context_;
    bool busy_ = false;
};

#endif
