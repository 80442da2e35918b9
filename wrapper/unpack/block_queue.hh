// A bounded queue of byte blocks from one thread to one other. Blocks go round: no allocation per block.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <vector>

namespace stowage {

class BlockQueue {
  public:
    static constexpr size_t block_bytes = 256 * 1024;

    struct Block {
        std::vector<uint8_t> bytes = std::vector<uint8_t>(block_bytes);
        size_t size = 0;
    };

    // Producer: the next block to fill, nullptr once the consumer has stopped listening.
    Block *begin_fill();
    void end_fill();
    // Producer: no more blocks, or none because of `error`.
    void close(std::exception_ptr error = nullptr);

    // Consumer: the next block, valid until the following call; nullptr at the end. Rethrows the producer's
    // error once all blocks before it are consumed.
    const Block *next();
    // Consumer: wants no more blocks.
    void stop_listening();
    // Consumer: waits until the producer has closed the queue; the error it closed it with.
    std::exception_ptr wait_closed();

  private:
    static constexpr size_t capacity = 16;

    std::mutex mutex_;
    std::condition_variable changed_;
    std::array<Block, capacity> blocks_;
    size_t filled_ = 0;   // blocks ever filled
    size_t consumed_ = 0; // blocks ever given back
    bool holding_ = false;
    bool closed_ = false;
    bool listening_ = true;
    std::exception_ptr error_;
};

} // namespace stowage
