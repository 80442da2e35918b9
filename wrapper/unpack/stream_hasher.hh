// The third stage: checks that the uncompressed streams have their diff_ids.
#pragma once

#include "block_ring.hh"
#include "layer_verdict.hh"
#include "options.hh"

#include <atomic>
#include <vector>

namespace stowage {

class StreamHasher {
  public:
    // All must outlive the hasher. It is stage 1 of `streams`. Once `is_abandoned`, nothing is hashed.
    StreamHasher(const Options &options, BlockRing &streams, std::vector<LayerVerdict> &verdicts,
                 const std::atomic<bool> &is_abandoned)
        : options_(options), streams_(streams), verdicts_(verdicts), is_abandoned_(is_abandoned) {
    }

    // Returns after the last layer, or when the ring is stopped.
    void run();

  private:
    bool hash_layer(const LayerSource &layer, LayerVerdict &verdict);

    const Options &options_;
    BlockRing &streams_;
    std::vector<LayerVerdict> &verdicts_;
    const std::atomic<bool> &is_abandoned_;
};

} // namespace stowage
