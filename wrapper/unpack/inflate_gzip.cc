// gzip with ISA-L. A layer may be several members one after the other (RFC 1952, 2.2); eStargz is.
#include "inflate.hh"
#include "refusal.hh"

#include <algorithm>
#include <climits>

#include <isa-l/igzip_lib.h>

namespace stowage {

namespace {

class GzipInflater : public Inflater {
  public:
    GzipInflater() {
        isal_inflate_init(&state_);
        state_.crc_flag = ISAL_GZIP;
    }

    Step run(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size) override {
        Step step{0, 0};
        while (step.produced < out_size) {
            if (between_members_ && step.consumed < in_size)
                begin_member(in[step.consumed]);
            if (padding_) {
                if (std::any_of(in + step.consumed, in + in_size, [](uint8_t byte) { return byte != 0; }))
                    refuse_image("it has bytes after its gzip data that are no gzip member");
                step.consumed = in_size;
            }
            if (between_members_ || padding_)
                break;
            if (!inflate_some(in, in_size, out, out_size, step))
                break;
        }
        return step;
    }

    void finish() override {
        if (!between_members_ && !padding_)
            refuse_image("its gzip data stops in the middle");
    }

  private:
    // gzip(1) accepts zeros after the last member, as tapes left them; so does this.
    void begin_member(uint8_t first) {
        between_members_ = false;
        if (first == 0) {
            padding_ = true;
            return;
        }
        isal_inflate_reset(&state_);
        state_.crc_flag = ISAL_GZIP;
    }

    // False when nothing moves any more.
    bool inflate_some(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size, Step &step) {
        const uint32_t in_now = static_cast<uint32_t>(std::min<size_t>(in_size - step.consumed, INT_MAX));
        const uint32_t out_now = static_cast<uint32_t>(std::min<size_t>(out_size - step.produced, INT_MAX));
        state_.next_in = const_cast<uint8_t *>(in) + step.consumed;
        state_.avail_in = in_now;
        state_.next_out = out + step.produced;
        state_.avail_out = out_now;
        const int result = isal_inflate(&state_);
        if (result != ISAL_DECOMP_OK && result != ISAL_END_INPUT && result != ISAL_OUT_OVERFLOW)
            refuse_image("its gzip data is damaged");
        step.consumed += in_now - state_.avail_in;
        step.produced += out_now - state_.avail_out;
        if (state_.block_state == ISAL_BLOCK_FINISH) {
            between_members_ = true;
            return true;
        }
        return state_.avail_in != in_now || state_.avail_out != out_now;
    }

    inflate_state state_;
    bool between_members_ = false;
    bool padding_ = false;
};

} // namespace

std::unique_ptr<Inflater> make_gzip_inflater() {
    return std::make_unique<GzipInflater>();
}

} // namespace stowage
