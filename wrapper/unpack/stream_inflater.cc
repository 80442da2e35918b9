#include "stream_inflater.hh"
#include "refusal.hh"

namespace stowage {

namespace {

constexpr size_t blob_stage = 1, stream_stage = 0;

} // namespace

void StreamInflater::run() {
    for (size_t i = 0; i < options_.layers.size(); i++)
        if (!inflate_layer(i))
            return;
}

// False when a ring was stopped.
bool StreamInflater::inflate_layer(size_t index) {
    LayerVerdict &verdict = verdicts_[index];
    inflater_.reset();
    for (bool is_last = false; !is_last;) {
        const Block *const blob = blobs_.take(blob_stage);
        if (!blob)
            return false;
        is_last = blob->is_last;
        // Damage is kept until the blob's digest is known: a wrong digest explains it.
        try {
            if (!verdict.damage && !is_abandoned_) {
                inflate(*blob);
                if (is_last && inflater_)
                    inflater_->finish();
            }
        } catch (const Refusal &refusal) {
            verdict.damage = std::make_exception_ptr(
                Refusal(refusal.fault(),
                        "layer " + options_.layers[index].name() + " cannot be unpacked: " + refusal.what()));
        } catch (...) {
            verdict.damage = std::current_exception();
        }
        blobs_.pass(blob_stage);
    }
    if (!has_block())
        return false;
    filling_->is_last = true;
    streams_.pass(stream_stage);
    filling_ = nullptr;
    return true;
}

void StreamInflater::inflate(const Block &blob) {
    const uint8_t *data = blob.bytes.get();
    size_t size = blob.size;
    if (!inflater_ && size > 0)
        inflater_ = make_inflater(data, size);
    while (inflater_ && has_block()) {
        const size_t room = streams_.block_bytes() - filling_->size;
        const auto step = inflater_->run(data, size, filling_->bytes.get() + filling_->size, room);
        filling_->size += step.produced;
        data += step.consumed;
        size -= step.consumed;
        if (step.produced == room) {
            streams_.pass(stream_stage);
            filling_ = nullptr;
        } else if (size == 0 || (step.consumed == 0 && step.produced == 0)) {
            return;
        }
    }
}

// Whether there is a block to fill; false when the ring was stopped.
bool StreamInflater::has_block() {
    if (filling_)
        return true;
    filling_ = streams_.take(stream_stage);
    if (filling_) {
        filling_->size = 0;
        filling_->is_last = false;
    }
    return filling_ != nullptr;
}

} // namespace stowage
