// The layers' blobs as one run of verified, uncompressed streams, made ahead by threads:
//
//   BlobReader -> StreamInflater -> StreamHasher -> whoever calls next()
//
// The threads go on to the next layer while the present one is still being written; how far ahead is bounded
// by the rings between them, whatever the number and sizes of the layers.
#pragma once

#include "blob_reader.hh"
#include "stream_hasher.hh"
#include "stream_inflater.hh"

#include <functional>
#include <mutex>
#include <thread>

namespace stowage {

class LayerPipeline {
  public:
    struct Bytes {
        const uint8_t *data;
        size_t size;
    };

    // Both must outlive the pipeline; until then only its threads use `progress`. Throws std::system_error
    // where no threads can be had.
    LayerPipeline(const Options &options, Progress &progress);
    ~LayerPipeline();

    // Goes to the first layer, or from the end of one to the next.
    void begin_layer();
    // The next uncompressed bytes of the present layer, valid until the following call; size 0 at its end.
    // The last bytes come only once the layer's size, digest and diff_id have been found right. Throws
    // Refusal naming the layer where they are not.
    Bytes next();

    // For a caller about to refuse what the present layer holds: waits for the verdict on its blob without
    // inflating the rest, and throws the Refusal for a wrong size or digest if that is the real reason.
    // Nothing but destruction may follow.
    //
    // With --growing it waits until all of this layer's blob is there, however long that takes, and for no
    // other layer's. A time limit of its own would blame the image for what a transfer spoilt: a file stands
    // still while its download waits for its turn, or begins anew and writes over it. Whoever downloads
    // knows when to give up, and the parent then ends us.
    void blame_blob_if_wrong();

  private:
    // Joins a thread once it has been told to stop.
    class Worker {
      public:
        Worker(LayerPipeline &pipeline, std::function<void()> work);
        ~Worker();

      private:
        LayerPipeline &pipeline_;
        std::thread thread_;
    };

    const Block *take();
    void fail(std::exception_ptr failure);
    void stop();

    std::vector<LayerVerdict> verdicts_;
    std::atomic<bool> is_abandoned_{false};
    BlockRing blobs_;
    BlockRing streams_;

    size_t layer_ = 0; // the present one, counted from 1
    bool holding_ = false;
    bool ended_ = false; // the present layer's last block has been taken

    std::mutex failure_mutex_;
    std::exception_ptr failure_; // of a thread, for want of memory

    BlobReader reader_;
    StreamInflater inflater_;
    StreamHasher hasher_;
    Worker reading_, inflating_, hashing_; // last, because they use all of the above
};

} // namespace stowage
