// Running sha256 and sha512, and the "algorithm:hex" form of OCI digests.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include <openssl/evp.h>

namespace stowage {

// Whether `text` is a digest Stowage can check: sha256 or sha512, lower-case hex of the right length.
bool is_supported_digest(const std::string &text);

// Hashes with the algorithm that the digest `expected` names (is_supported_digest must hold).
class DigestCheck {
  public:
    explicit DigestCheck(const std::string &expected);
    void update(const void *data, size_t size);
    // Ends the hashing; "algorithm:hex" of all that was fed.
    std::string finish();

  private:
    std::string algorithm_;
    std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX *)> context_;
};

// Makes libcrypto load what it needs while files can still be opened.
void prepare_digests();

} // namespace stowage
