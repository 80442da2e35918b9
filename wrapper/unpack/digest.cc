#include "digest.hh"
#include "refusal.hh"

#include <openssl/crypto.h>

namespace stowage {

namespace {

void must(int ok) {
    if (ok != 1)
        throw Refusal(Fault::node, "libcrypto on this node cannot compute sha256 and sha512");
}

} // namespace

bool is_supported_digest(const std::string &text) {
    const size_t colon = text.find(':');
    if (colon == std::string::npos)
        return false;
    const std::string algorithm = text.substr(0, colon);
    const std::string hex = text.substr(colon + 1);
    const size_t length = algorithm == "sha256" ? 64 : algorithm == "sha512" ? 128 : 0;
    return length > 0 && hex.size() == length &&
           hex.find_first_not_of("0123456789abcdef") == std::string::npos;
}

DigestCheck::DigestCheck(const std::string &expected)
    : algorithm_(expected.substr(0, expected.find(':'))), context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    must(context_ ? 1 : 0);
    must(EVP_DigestInit_ex(context_.get(), algorithm_ == "sha512" ? EVP_sha512() : EVP_sha256(), nullptr));
}

void DigestCheck::update(const void *data, size_t size) {
    must(EVP_DigestUpdate(context_.get(), data, size));
}

std::string DigestCheck::finish() {
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    must(EVP_DigestFinal_ex(context_.get(), raw, &size));
    std::string text = algorithm_ + ':';
    for (unsigned i = 0; i < size; i++) {
        text += "0123456789abcdef"[raw[i] >> 4];
        text += "0123456789abcdef"[raw[i] & 15];
    }
    return text;
}

void prepare_digests() {
    must(OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr));
    for (const char *algorithm : {"sha256:", "sha512:"})
        DigestCheck(algorithm).finish();
}

} // namespace stowage
