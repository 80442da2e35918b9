// The second stage: turns the blobs' blocks into blocks of uncompressed stream.
#pragma once

#include "block_filler.hh"
#include "layer_verdict.hh"
#include "options.hh"

#include <atomic>
#include <memory>
#include <vector>

namespace stowage {

class StreamInflater {
  public:
    // All must outlive the inflater. It is stage 1, the last, of `blobs` and stage 0 of `streams`. Once
    // `is_abandoned`, blobs are read to the end without inflating them.
    StreamInflater(const Options &options, BlockRing &blobs, BlockRing &streams,
                   std::vector<LayerVerdict> &verdicts, const std::atomic<bool> &is_abandoned)
        : options_(options), blobs_(blobs), filler_(streams), verdicts_(verdicts),
          is_abandoned_(is_abandoned) {
    }

    // Returns after the last layer, or when a ring is stopped.
    void run();

  private:
    bool inflate_layer(size_t index);
    void inflate(const Block &blob);

    const Options &options_;
    BlockRing &blobs_;
    BlockFiller filler_; // of `streams`
    std::vector<LayerVerdict> &verdicts_;
    const std::atomic<bool> &is_abandoned_;

    std::unique_ptr<Inflater> inflater_; // of the present layer
};

} // namespace stowage
