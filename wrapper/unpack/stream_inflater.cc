#include "stream_inflater.hh"
#include "refusal.hh"

namespace stowage {

namespace {

constexpr size_t blob_stage = 1;

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
    return filler_.end();
}

void StreamInflater::inflate(const Block &blob) {
    if (!inflater_ && blob.size > 0)
        inflater_ = make_inflater(blob.bytes.get(), blob.size);
    if (inflater_)
        filler_.inflate(*inflater_, blob.bytes.get(), blob.size);
}

} // namespace stowage
