// What the stages found out about one layer. Each field is written by one stage, before it passes the layer's
// last block on, and read by later ones after they took that block.
#pragma once

#include <exception>

namespace stowage {

struct LayerVerdict {
    std::exception_ptr blob;   // it has a wrong size or digest, or cannot be read
    std::exception_ptr damage; // it cannot be inflated
    std::exception_ptr stream; // it does not unpack to its diff_id
};

} // namespace stowage
