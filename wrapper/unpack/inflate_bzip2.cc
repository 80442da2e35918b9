// bzip2 with libbz2. Parallel compressors write many streams one after the other.
#include "file_inflater.hh"
#include "refusal.hh"

#include <algorithm>
#include <climits>
#include <new>

#include <bzlib.h>

namespace stowage {

namespace {

class Bzip2Inflater : public Inflater {
  public:
    ~Bzip2Inflater() override {
        if (open_)
            BZ2_bzDecompressEnd(&stream_);
    }

    Step run(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size) override {
        Step step{0, 0};
        while (step.produced < out_size) {
            if (!open_) {
                if (step.consumed == in_size)
                    break;
                begin_stream();
            }
            if (!inflate_some(in, in_size, out, out_size, step))
                break;
        }
        return step;
    }

    void finish() override {
        if (open_)
            refuse_image("its bzip2 data stops in the middle; copy the file again");
    }

  private:
    void begin_stream() {
        stream_ = {};
        if (BZ2_bzDecompressInit(&stream_, 0, 0) != BZ_OK)
            throw std::bad_alloc();
        open_ = true;
    }

    // False when nothing moves any more.
    bool inflate_some(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size, Step &step) {
        const unsigned in_now = static_cast<unsigned>(std::min<size_t>(in_size - step.consumed, INT_MAX));
        const unsigned out_now = static_cast<unsigned>(std::min<size_t>(out_size - step.produced, INT_MAX));
        stream_.next_in = const_cast<char *>(reinterpret_cast<const char *>(in) + step.consumed);
        stream_.avail_in = in_now;
        stream_.next_out = reinterpret_cast<char *>(out) + step.produced;
        stream_.avail_out = out_now;
        const int result = BZ2_bzDecompress(&stream_);
        if (result == BZ_MEM_ERROR)
            throw std::bad_alloc();
        if (result == BZ_DATA_ERROR_MAGIC && streams_ > 0)
            refuse_image("it has bytes after its bzip2 data that are no bzip2 stream; copy the file again");
        if (result != BZ_OK && result != BZ_STREAM_END)
            refuse_image("its bzip2 data is damaged; copy the file again");
        step.consumed += in_now - stream_.avail_in;
        step.produced += out_now - stream_.avail_out;
        if (result == BZ_STREAM_END) {
            BZ2_bzDecompressEnd(&stream_);
            open_ = false;
            streams_++;
            return true;
        }
        return stream_.avail_in != in_now || stream_.avail_out != out_now;
    }

    bz_stream stream_ = {};
    bool open_ = false;
    uint64_t streams_ = 0; // read to their ends
};

} // namespace

std::unique_ptr<Inflater> make_bzip2_inflater() {
    return std::make_unique<Bzip2Inflater>();
}

} // namespace stowage
