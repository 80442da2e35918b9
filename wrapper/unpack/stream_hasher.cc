#include "stream_hasher.hh"
#include "digest.hh"
#include "refusal.hh"

namespace stowage {

namespace {

constexpr size_t stage = 1;

std::exception_ptr mismatch(const LayerSource &layer, const std::string &found) {
    return std::make_exception_ptr(Refusal(Fault::image, "layer " + layer.name() + " unpacks to " + found +
                                                             " but the image's configuration says " +
                                                             layer.diff_id + "; rebuild the image"));
}

} // namespace

void StreamHasher::run() {
    for (size_t i = 0; i < options_.layers.size(); i++)
        if (!hash_layer(options_.layers[i], verdicts_[i]))
            return;
}

// False when the ring was stopped.
bool StreamHasher::hash_layer(const LayerSource &layer, LayerVerdict &verdict) {
    DigestCheck digest(layer.diff_id);
    while (const Block *const block = streams_.take(stage)) {
        if (!is_abandoned_)
            digest.update(block->bytes.get(), block->size);
        const bool is_last = block->is_last;
        if (is_last) {
            const std::string found = digest.finish();
            if (found != layer.diff_id)
                verdict.stream = mismatch(layer, found);
        }
        streams_.pass(stage);
        if (is_last)
            return true;
    }
    return false;
}

} // namespace stowage
