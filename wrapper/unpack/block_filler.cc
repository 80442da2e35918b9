#include "block_filler.hh"

namespace stowage {

namespace {

constexpr size_t stage = 0;

} // namespace

bool BlockFiller::inflate(Inflater &inflater, const uint8_t *data, size_t size) {
    while (has_block()) {
        const size_t room = ring_.block_bytes() - filling_->size;
        const auto step = inflater.run(data, size, filling_->bytes.get() + filling_->size, room);
        filling_->size += step.produced;
        data += step.consumed;
        size -= step.consumed;
        if (step.produced == room) {
            ring_.pass(stage);
            filling_ = nullptr;
        } else if (size == 0 || (step.consumed == 0 && step.produced == 0)) {
            return true;
        }
    }
    return false;
}

bool BlockFiller::end() {
    if (!has_block())
        return false;
    filling_->is_last = true;
    ring_.pass(stage);
    filling_ = nullptr;
    return true;
}

// Whether there is a block to fill; false when the ring was stopped.
bool BlockFiller::has_block() {
    if (filling_)
        return true;
    filling_ = ring_.take(stage);
    if (filling_) {
        filling_->size = 0;
        filling_->is_last = false;
    }
    return filling_ != nullptr;
}

} // namespace stowage
