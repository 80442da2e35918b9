#include "layer_pipeline.hh"

namespace stowage {

namespace {

constexpr size_t blob_blocks = 8, blob_block_bytes = 256 * 1024;
constexpr size_t stream_blocks = 16, stream_block_bytes = 1024 * 1024;
constexpr size_t last_stage = 2;

} // namespace

LayerPipeline::Worker::Worker(LayerPipeline &pipeline, std::function<void()> work)
    : pipeline_(pipeline), thread_([this, work] {
          try {
              work();
          } catch (...) {
              pipeline_.fail(std::current_exception());
          }
      }) {
}

LayerPipeline::Worker::~Worker() {
    pipeline_.stop();
    thread_.join();
}

LayerPipeline::LayerPipeline(const Options &options, Progress &progress)
    : verdicts_(options.layers.size()), blobs_(2, blob_blocks, blob_block_bytes),
      streams_(last_stage + 1, stream_blocks, stream_block_bytes),
      reader_(options, progress, blobs_, verdicts_),
      inflater_(options, blobs_, streams_, verdicts_, is_abandoned_),
      hasher_(options, streams_, verdicts_, is_abandoned_), reading_(*this, [this] { reader_.run(); }),
      inflating_(*this, [this] { inflater_.run(); }), hashing_(*this, [this] { hasher_.run(); }) {
}

LayerPipeline::~LayerPipeline() = default;

void LayerPipeline::begin_layer() {
    layer_++;
    ended_ = false;
}

LayerPipeline::Bytes LayerPipeline::next() {
    if (ended_)
        return {nullptr, 0};
    const Block *const block = take();
    if (block->is_last) {
        const LayerVerdict &verdict = verdicts_[layer_ - 1];
        for (const std::exception_ptr &reason : {verdict.blob, verdict.damage, verdict.stream})
            if (reason)
                std::rethrow_exception(reason);
    }
    return {block->bytes.get(), block->size};
}

void LayerPipeline::blame_blob_if_wrong() {
    is_abandoned_ = true;
    while (!ended_)
        take();
    if (verdicts_[layer_ - 1].blob)
        std::rethrow_exception(verdicts_[layer_ - 1].blob);
}

// The next block, after giving back the one before.
const Block *LayerPipeline::take() {
    if (holding_)
        streams_.pass(last_stage);
    const Block *const block = streams_.take(last_stage);
    holding_ = block != nullptr;
    if (!block) {
        std::lock_guard<std::mutex> lock(failure_mutex_);
        std::rethrow_exception(failure_);
    }
    ended_ = block->is_last;
    return block;
}

void LayerPipeline::fail(std::exception_ptr failure) {
    {
        std::lock_guard<std::mutex> lock(failure_mutex_);
        if (!failure_)
            failure_ = std::move(failure);
    }
    stop();
}

void LayerPipeline::stop() {
    streams_.stop();
    blobs_.stop();
}

} // namespace stowage
