// stowage-unpack: unpacks an image into a directory, or says what a file is, as the user, confined.
//
// Exit status: 0 the tree is complete and verified; 1 the image is refused; 2 usage; 3 the node could not.
// One sentence on standard error says why; the caller removes what was unpacked so far.
#include "confine.hh"
#include "digest.hh"
#include "identify.hh"
#include "options.hh"
#include "refusal.hh"
#include "supervise.hh"
#include "unpack.hh"

#include <cstdio>
#include <new>
#include <system_error>
#include <unistd.h>

namespace {

using namespace stowage;

int say(Fault fault, const char *sentence) {
    dprintf(STDERR_FILENO, "%s\n", sentence);
    return static_cast<int>(fault);
}

template <typename Work> int guarded(Work work) {
    try {
        return work();
    } catch (const Refusal &refusal) {
        return say(refusal.fault(), refusal.what());
    } catch (const std::bad_alloc &) {
        return say(Fault::node,
                   "unpacking the image needs more memory than there is; ask for more with --mem");
    } catch (const std::system_error &error) {
        return say(Fault::node, error.what());
    }
}

} // namespace

int main(int argc, char **argv) {
    return guarded([&] {
        Options options = parse_options(argc, argv);
        return supervise(options.max_seconds, [&] {
            return guarded([&] {
                prepare_digests();
                Descriptor root = confine(options);
                if (options.identify_fd >= 0)
                    identify_file(options);
                else
                    unpack_image(options, std::move(root));
                return 0;
            });
        });
    });
}
