// Fuzz target: a squashfs image, or a SIF file that holds one, into a tree.
#include "../root_file.hh"
#include "../sif.hh"
#include "../squashfs_reader.hh"
#include "scratch.hh"
#include "unpacking.hh"

#include <sys/mman.h>
#include <unistd.h>

namespace {

using namespace stowage;
using namespace stowage::fuzz;

Descriptor file_of(const uint8_t *data, size_t size) {
    Descriptor file(memfd_create("input", MFD_CLOEXEC));
    if (!file || write(file.get(), data, size) != static_cast<ssize_t>(size))
        finding("there is no memory for the input");
    return file;
}

} // namespace

extern "C" int LLVMFuzzerInitialize(int *, char ***) {
    Scratch::instance();
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const auto kind = root_file_kind(data, size);
    if (!kind)
        return -1;
    const Descriptor file = file_of(data, size);
    const auto make = [&] {
        const FileWindow whole(file.get(), 0, size);
        return std::make_unique<SquashfsReader>(*kind == RootFileKind::sif ? find_sif_partition(whole).image
                                                                           : whole);
    };
    unpack(
        make, [](EntrySource &) {}, EntriesOf::whole);
    return 0;
}
