// zstd. libzstd goes from frame to frame and over skippable frames by itself.
#include "inflate.hh"
#include "refusal.hh"

#include <string>

#include <zstd.h>
#include <zstd_errors.h>

namespace stowage {

namespace {

// 128 MiB: what `zstd --long=27` makes and RFC 8878 suggests to support at most without being asked.
constexpr int largest_window_log = 27;

class ZstdInflater : public Inflater {
  public:
    ZstdInflater() : context_(ZSTD_createDCtx(), ZSTD_freeDCtx) {
        if (!context_)
            throw std::bad_alloc();
        ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, largest_window_log);
    }

    Step run(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size) override {
        ZSTD_inBuffer input{in, in_size, 0};
        ZSTD_outBuffer output{out, out_size, 0};
        while (output.pos < output.size) {
            if (input.pos == input.size && frame_done_)
                break;
            const size_t before = input.pos + output.pos;
            const size_t result = ZSTD_decompressStream(context_.get(), &output, &input);
            if (ZSTD_isError(result))
                refuse(result);
            frame_done_ = result == 0;
            if (input.pos + output.pos == before)
                break;
        }
        return {input.pos, output.pos};
    }

    void finish() override {
        if (!frame_done_)
            refuse_image("its zstd data stops in the middle");
    }

  private:
    [[noreturn]] static void refuse(size_t result) {
        switch (ZSTD_getErrorCode(result)) {
        case ZSTD_error_frameParameter_windowTooLarge:
            refuse_image(
                "its zstd data needs a window of more than 128 MiB; rebuild it without --ultra or --long");
        case ZSTD_error_memory_allocation:
            throw std::bad_alloc();
        default:
            refuse_image(std::string("its zstd data is damaged (") + ZSTD_getErrorName(result) + ")");
        }
    }

    std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx *)> context_;
    bool frame_done_ = false;
};

} // namespace

std::unique_ptr<Inflater> make_zstd_inflater() {
    return std::make_unique<ZstdInflater>();
}

} // namespace stowage
