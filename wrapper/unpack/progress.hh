// Lines "LAYER_INDEX BYTES_DONE BYTES_TOTAL\n" for whoever shows progress.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace stowage {

class Progress {
  public:
    // `fd` is borrowed; -1 keeps silent.
    explicit Progress(int fd) : fd_(fd) {
    }
    // Compressed bytes of the layer that were read. Writes at most every 200 ms, except the first and the
    // last line of a layer. A reader that is slow or gone loses lines and delays nothing.
    void report(size_t layer_index, uint64_t done_bytes, uint64_t total_bytes);

  private:
    int fd_;
    std::chrono::steady_clock::time_point last_{};
};

} // namespace stowage
