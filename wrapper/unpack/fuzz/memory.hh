// Holds the unpacker to its bound on memory, input by input, whatever the sanitizers and libFuzzer use
// besides.
#pragma once

namespace stowage::fuzz {

// From now on aborts when more than 64 MiB are in use beyond what is now; measured anew with each call.
void bound_memory();

} // namespace stowage::fuzz
