// A file read once from start to end by a thread of its own, which computes its digest and, if asked to,
// inflates it.
#pragma once

#include "block_queue.hh"
#include "digest.hh"
#include "inflate.hh"
#include "options.hh"
#include "progress.hh"

#include <atomic>
#include <future>
#include <thread>

namespace stowage {

class FileStream {
  public:
    enum class Purpose { inflating, hashing };

    // `source` and `progress` must outlive the stream; until then only its thread uses `progress`.
    FileStream(const FileSource &source, Purpose purpose, Progress &progress);
    ~FileStream();

    // When inflating: the next uncompressed bytes, valid until the following call; nullptr at the end.
    // Throws Refusal for damaged data.
    const BlockQueue::Block *next();
    // Wants no more bytes; waits for the end of the file, and throws Refusal if it does not have its digest.
    void verify();

  private:
    void run();
    void read_file();
    void inflate(const uint8_t *data, size_t size);
    void finish_inflating();
    void push_filled();

    const FileSource &source_;
    Progress &progress_;

    BlockQueue queue_; // uncompressed bytes
    std::promise<void> promise_;
    std::shared_future<void> verdict_ = promise_.get_future().share();
    std::atomic<bool> stopping_{false};

    // Used by the thread only.
    bool inflating_;
    std::unique_ptr<Inflater> inflater_;
    BlockQueue::Block *filling_ = nullptr;

    std::thread thread_; // last, because it uses all of the above
};

} // namespace stowage
