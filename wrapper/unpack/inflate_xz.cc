// xz with liblzma, which goes from stream to stream and over the padding between them by itself.
#include "file_inflater.hh"
#include "refusal.hh"

#include <new>

#include <lzma.h>

namespace stowage {

namespace {

// The dictionary of `xz -9` is 64 MiB, and liblzma takes a little more than that.
constexpr uint64_t memory_limit = 80 << 20;

class XzInflater : public Inflater {
  public:
    XzInflater() {
        if (lzma_stream_decoder(&stream_, memory_limit, LZMA_CONCATENATED) != LZMA_OK)
            throw std::bad_alloc();
    }
    ~XzInflater() override {
        lzma_end(&stream_);
    }

    Step run(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size) override {
        stream_.next_in = in;
        stream_.avail_in = in_size;
        stream_.next_out = out;
        stream_.avail_out = out_size;
        while (stream_.avail_out > 0 && !ended_) {
            const size_t before = stream_.avail_in + stream_.avail_out;
            take(lzma_code(&stream_, LZMA_RUN));
            if (stream_.avail_in + stream_.avail_out == before)
                break;
        }
        return {in_size - stream_.avail_in, out_size - stream_.avail_out};
    }

    void finish() override {
        uint8_t none;
        stream_.next_in = &none;
        stream_.avail_in = 0;
        stream_.next_out = &none;
        stream_.avail_out = sizeof none;
        // With concatenated streams only this tells whether the last one was complete.
        take(ended_ ? LZMA_STREAM_END : lzma_code(&stream_, LZMA_FINISH));
        if (!ended_)
            refuse_image("its xz data stops in the middle; copy the file again");
    }

  private:
    void take(lzma_ret result) {
        switch (result) {
        case LZMA_STREAM_END:
            ended_ = true;
            return;
        case LZMA_OK:
        case LZMA_BUF_ERROR: // nothing to do with what there is
            return;
        case LZMA_MEM_ERROR:
            throw std::bad_alloc();
        case LZMA_MEMLIMIT_ERROR:
            refuse_image("its xz data needs a dictionary of more than 64 MiB; compress it again with "
                         "xz -9 or less");
        case LZMA_OPTIONS_ERROR:
            refuse_image("its xz data uses filters that liblzma on this node does not know; compress it "
                         "again with plain xz");
        default:
            refuse_image("its xz data is damaged; copy the file again");
        }
    }

    lzma_stream stream_ = LZMA_STREAM_INIT;
    bool ended_ = false;
};

} // namespace

std::unique_ptr<Inflater> make_xz_inflater() {
    return std::make_unique<XzInflater>();
}

} // namespace stowage
