#include "progress.hh"

#include <cinttypes>
#include <cstdio>

#include <poll.h>
#include <unistd.h>

namespace stowage {

namespace {

constexpr std::chrono::milliseconds interval{200};

} // namespace

void Progress::report(size_t layer_index, uint64_t done_bytes, uint64_t total_bytes) {
    if (fd_ < 0)
        return;
    const auto now = std::chrono::steady_clock::now();
    if (done_bytes < total_bytes && now - last_ < interval)
        return;
    // A pipe that polls writable takes a line this short without blocking.
    struct pollfd ready = {fd_, POLLOUT, 0};
    if (poll(&ready, 1, 0) != 1 || !(ready.revents & POLLOUT))
        return;
    char line[80];
    const int length =
        snprintf(line, sizeof line, "%zu %" PRIu64 " %" PRIu64 "\n", layer_index, done_bytes, total_bytes);
    if (write(fd_, line, static_cast<size_t>(length)) != length)
        fd_ = -1;
    last_ = now;
}

} // namespace stowage
