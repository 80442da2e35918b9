// The first stage: reads the layers' blobs, one after the other, and checks their sizes and digests.
#pragma once

#include "block_ring.hh"
#include "digest.hh"
#include "layer_verdict.hh"
#include "options.hh"
#include "progress.hh"

#include <optional>
#include <vector>

namespace stowage {

class BlobReader {
  public:
    // All must outlive the reader. It is stage 0 of `ring`.
    BlobReader(const Options &options, Progress &progress, BlockRing &ring,
               std::vector<LayerVerdict> &verdicts)
        : options_(options), progress_(progress), ring_(ring), verdicts_(verdicts) {
    }

    // Returns after the last layer, or when the ring is stopped. What is wrong with a blob is put into its
    // verdict before its last block is passed on.
    void run();

  private:
    bool read_layer(size_t index);
    size_t read_some(const LayerSource &layer, Block &block, uint64_t done);
    void check(const LayerSource &layer, std::optional<DigestCheck> &digest) const;

    const Options &options_;
    Progress &progress_;
    BlockRing &ring_;
    std::vector<LayerVerdict> &verdicts_;
};

} // namespace stowage
