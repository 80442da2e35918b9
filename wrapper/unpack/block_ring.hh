// A ring of byte blocks that threads work on one after the other, as on an assembly line: the first stage
// fills a block, those after it look at the very same bytes, and the last one's passing it on makes it free
// again.
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

namespace stowage {

struct Block {
    std::unique_ptr<uint8_t[]> bytes;
    size_t size = 0;      // of what is in it; 0 is possible only where is_last
    bool is_last = false; // of its layer
};

class BlockRing {
  public:
    BlockRing(size_t stages, size_t blocks, size_t block_bytes);

    size_t block_bytes() const {
        return block_bytes_;
    }

    // The next block for `stage`, waiting for it; nullptr once the ring has been stopped. Each stage is one
    // thread, and must pass on what it took before it takes the next.
    Block *take(size_t stage);
    void pass(size_t stage);

    // Makes every take() that waits, and every later one, return nullptr.
    void stop();
    bool is_stopped();

  private:
    static constexpr size_t most_stages = 3, most_blocks = 16;

    bool may_take(size_t stage) const;

    const size_t stages_;
    const size_t capacity_;
    const size_t block_bytes_;
    std::array<Block, most_blocks> blocks_;

    std::mutex mutex_;
    bool stopped_ = false;
    std::array<size_t, most_stages> passed_{}; // blocks ever passed on by each stage
    std::array<std::condition_variable, most_stages> changed_;
};

} // namespace stowage
