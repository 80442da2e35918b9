#include "block_queue.hh"

namespace stowage {

BlockQueue::Block *BlockQueue::begin_fill() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return !listening_ || filled_ - consumed_ < capacity; });
    return listening_ ? &blocks_[filled_ % capacity] : nullptr;
}

void BlockQueue::end_fill() {
    std::lock_guard<std::mutex> lock(mutex_);
    filled_++;
    changed_.notify_all();
}

void BlockQueue::close(std::exception_ptr error) {
    std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    error_ = std::move(error);
    changed_.notify_all();
}

const BlockQueue::Block *BlockQueue::next() {
    std::unique_lock<std::mutex> lock(mutex_);
    if (holding_) {
        consumed_++;
        holding_ = false;
        changed_.notify_all();
    }
    changed_.wait(lock, [this] { return filled_ > consumed_ || closed_; });
    if (filled_ > consumed_) {
        holding_ = true;
        return &blocks_[consumed_ % capacity];
    }
    if (error_)
        std::rethrow_exception(error_);
    return nullptr;
}

void BlockQueue::stop_listening() {
    std::lock_guard<std::mutex> lock(mutex_);
    listening_ = false;
    changed_.notify_all();
}

std::exception_ptr BlockQueue::wait_closed() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return closed_; });
    return error_;
}

} // namespace stowage
