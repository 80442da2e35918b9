// The one kind of error: a sentence for the user, and whose fault it is.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace stowage {

// The values are the exit statuses of stowage-unpack.
enum class Fault {
    image = 1, // the image is malformed, forged or over its budget; another node would refuse it too
    usage = 2, // the caller's arguments
    node = 3,  // this node could not: no space, no memory, no user namespaces
};

class Refusal : public std::runtime_error {
  public:
    Refusal(Fault fault, const std::string &sentence) : std::runtime_error(sentence), fault_(fault) {
    }
    Fault fault() const {
        return fault_;
    }

  private:
    Fault fault_;
};

[[noreturn]] void refuse_image(const std::string &sentence);

// Turns `error` (an errno) met while working on `subject` into a Refusal. `needed_bytes` is what was still
// to be written of the entry at hand; the sentence for a full store quotes it.
[[noreturn]] void fail_with(int error, const std::string &subject, uint64_t needed_bytes = 0);

// The same for making a name in the tree, where a full store is one that takes no more files.
[[noreturn]] void fail_to_make(int error, const std::string &subject);

} // namespace stowage
