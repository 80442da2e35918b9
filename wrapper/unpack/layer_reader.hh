// One layer's blob as a verified stream of uncompressed bytes, read ahead by a thread of its own.
#pragma once

#include "block_queue.hh"
#include "digest.hh"
#include "inflate.hh"
#include "options.hh"
#include "progress.hh"

#include <atomic>
#include <thread>

namespace stowage {

class LayerReader {
  public:
    // `source` and `progress` must outlive the reader; until then only its thread uses `progress`.
    LayerReader(const LayerSource &source, size_t index, Progress &progress);
    ~LayerReader();

    // The next uncompressed bytes, valid until the following call; nullptr at the end, by which time size,
    // digest and diff_id have been found right. Throws Refusal naming the layer where they are not.
    const BlockQueue::Block *next();

    // For a caller about to refuse what the stream holds: reads on to the end of the blob without
    // inflating it, and throws the Refusal for a wrong size or digest if that is the real reason.
    void blame_blob_if_wrong();

  private:
    enum class Mode { inflating, hashing, stopping };

    void run();
    void read_blob();
    void inflate(const uint8_t *data, size_t size);
    void push_filled();
    void check_blob();
    void check_stream();
    [[noreturn]] void refuse_blob(const std::string &reason);

    const LayerSource &source_;
    const size_t index_;
    Progress &progress_;

    BlockQueue queue_;
    std::atomic<Mode> mode_{Mode::inflating};
    std::atomic<bool> blob_wrong_{false};

    // Used by the thread only.
    std::unique_ptr<Inflater> inflater_;
    DigestCheck blob_digest_;
    DigestCheck stream_digest_;
    BlockQueue::Block *filling_ = nullptr;

    std::thread thread_; // last, because it uses all of the above
};

} // namespace stowage
