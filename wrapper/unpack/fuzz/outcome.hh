// Whether an image is taken or refused, and that it is refused as images are.
#pragma once

#include "../refusal.hh"
#include "description.hh"

#include <functional>

namespace stowage::fuzz {

// True if `work` succeeds, false if it refuses the image. Aborts if it blames anything but the image, says
// what it has to say in more than one printable line, or throws anything else.
inline bool is_taken(const std::function<void()> &work) {
    try {
        work();
        return true;
    } catch (const Refusal &refusal) {
        const std::string sentence = refusal.what();
        if (refusal.fault() != Fault::image)
            finding("the image is not blamed: " + sentence);
        for (const char byte : sentence)
            if (static_cast<unsigned char>(byte) < 0x20 || byte == 0x7f)
                finding("the refusal is not one printable line: " + sentence);
        return false;
    }
}

} // namespace stowage::fuzz
