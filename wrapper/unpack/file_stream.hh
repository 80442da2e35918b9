// A file read once from start to end by a thread of its own, which computes its digest and, if asked to,
// inflates it.
#pragma once

#include "block_filler.hh"
#include "entry_source.hh"
#include "options.hh"
#include "progress.hh"

#include <atomic>
#include <exception>
#include <future>
#include <thread>

namespace stowage {

class FileStream {
  public:
    enum class Purpose { inflating, hashing };

    // `source` and `progress` must outlive the stream; until then only its thread uses `progress`.
    FileStream(const FileSource &source, Purpose purpose, Progress &progress);
    ~FileStream();

    // When inflating: the next uncompressed bytes, valid until the following call; size 0 at the end. Throws
    // Refusal for damaged data.
    EntrySource::Bytes next();
    // Wants no more bytes, so that nothing calls next() again; waits for the end of the file, and throws
    // Refusal if it does not have its digest.
    void verify();

  private:
    void run();
    void read_file();
    void inflate(const uint8_t *data, size_t size);
    void finish_inflating();
    void end_inflating(std::exception_ptr damage);

    const FileSource &source_;
    Progress &progress_;

    BlockRing ring_;              // of uncompressed bytes
    const Block *held_ = nullptr; // what next() has returned
    std::exception_ptr damage_;   // written before the last block is passed on, read after it is taken
    std::promise<void> promise_;
    std::shared_future<void> verdict_ = promise_.get_future().share();
    std::atomic<bool> stopping_{false};

    // Used by the thread only.
    bool inflating_;
    std::unique_ptr<Inflater> inflater_;
    BlockFiller filler_;

    std::thread thread_; // last, because it uses all of the above
};

} // namespace stowage
