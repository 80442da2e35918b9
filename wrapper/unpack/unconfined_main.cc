// The core alone, for tests and fuzzers: shows that the tree's own walls hold without the confinement.
// Never installed.
#include "identify.hh"
#include "options.hh"
#include "refusal.hh"
#include "unpack.hh"

#include <csignal>
#include <cstdio>
#include <unistd.h>

int main(int argc, char **argv) {
    using namespace stowage;
    signal(SIGPIPE, SIG_IGN);
    try {
        const Options options = parse_options(argc, argv);
        if (options.identify_fd >= 0)
            identify_file(options);
        else
            unpack_image(options, Descriptor(options.root_fd));
        return 0;
    } catch (const Refusal &refusal) {
        dprintf(STDERR_FILENO, "%s\n", refusal.what());
        return static_cast<int>(refusal.fault());
    }
}
