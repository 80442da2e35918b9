// Fuzz target: one tar stream into a tree.
#include "../tar_reader.hh"
#include "scratch.hh"
#include "unpacking.hh"

extern "C" int LLVMFuzzerInitialize(int *, char ***) {
    stowage::fuzz::Scratch::instance();
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    stowage::fuzz::unpack_stream<stowage::TarReader>(data, size, stowage::EntriesOf::layers);
    return 0;
}
