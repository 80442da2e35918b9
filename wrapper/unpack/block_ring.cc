#include "block_ring.hh"

namespace stowage {

BlockRing::BlockRing(size_t stages, size_t blocks, size_t block_bytes)
    : stages_(stages), capacity_(blocks), block_bytes_(block_bytes) {
    // Not make_unique, whose zeros would make the kernel provide memory that a small image never fills.
    for (size_t i = 0; i < capacity_; i++)
        blocks_[i].bytes.reset(new uint8_t[block_bytes]);
}

bool BlockRing::may_take(size_t stage) const {
    if (stage == 0)
        return passed_[0] - passed_[stages_ - 1] < capacity_;
    return passed_[stage] < passed_[stage - 1];
}

Block *BlockRing::take(size_t stage) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_[stage].wait(lock, [&] { return stopped_ || may_take(stage); });
    return stopped_ ? nullptr : &blocks_[passed_[stage] % capacity_];
}

void BlockRing::pass(size_t stage) {
    {
        std::lock_guard<std::mutex> lock(mutex_);
        passed_[stage]++;
    }
    changed_[(stage + 1) % stages_].notify_one();
}

void BlockRing::stop() {
    {
        std::lock_guard<std::mutex> lock(mutex_);
        stopped_ = true;
    }
    for (std::condition_variable &stage : changed_)
        stage.notify_one();
}

bool BlockRing::is_stopped() {
    std::lock_guard<std::mutex> lock(mutex_);
    return stopped_;
}

} // namespace stowage
