#include "lzo.h"

#include <cstring>

namespace {

// Matches at these distances are written in the shorter ways, and so counted from here on.
constexpr size_t distance_after_literals = 2049;
constexpr size_t far_distance = 16384;

class LzoDecoder {
  public:
    LzoDecoder(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size)
        : in_(in), in_end_(in + in_size), out_start_(out), out_(out), out_end_(out + out_size) {
    }

    ssize_t run() {
        begin();
        while (ok_ && !ended_)
            step(take());
        if (!ok_ || in_ != in_end_)
            return -1;
        return out_ - out_start_;
    }

  private:
    // A large first byte is a count of literals; all others are ordinary instructions.
    void begin() {
        if (in_ == in_end_ || *in_ < 18)
            return;
        const size_t count = take() - size_t{17};
        copy_literals(count);
        literals_ = count < 4 ? static_cast<unsigned>(count) : 4;
    }

    void step(uint8_t code) {
        if (code >= 128)
            return match(5 + (code >> 5 & 3), 1 + (code >> 2 & 7) + (size_t{take()} << 3), code & 3);
        if (code >= 64)
            return match(3 + (code >> 5 & 1), 1 + (code >> 2 & 7) + (size_t{take()} << 3), code & 3);
        if (code >= 32) {
            const size_t length = 2 + long_count(code & 31, 31);
            const unsigned word = take_word();
            return match(length, 1 + (word >> 2), word & 3);
        }
        if (code >= 16) {
            const size_t length = 2 + long_count(code & 7, 7);
            const unsigned word = take_word();
            const size_t distance = far_distance + (size_t{code & 8u} << 11) + (word >> 2);
            if (distance == far_distance)
                ended_ = true;
            else
                match(length, distance, word & 3);
            return;
        }
        if (literals_ == 0) {
            copy_literals(3 + long_count(code, 15));
            literals_ = 4;
        } else if (literals_ < 4) {
            match(2, 1 + (code >> 2 & 3) + (size_t{take()} << 2), code & 3);
        } else {
            match(3, distance_after_literals + (code >> 2 & 3) + (size_t{take()} << 2), code & 3);
        }
    }

    // `bits` unless they are zero; then zeros count 255 each, up to a last byte that is not zero.
    size_t long_count(size_t bits, size_t base) {
        if (bits != 0)
            return bits;
        size_t count = base;
        for (;;) {
            const uint8_t byte = take();
            if (byte != 0 || !ok_)
                return count + byte;
            count += 255;
        }
    }

    uint8_t take() {
        if (in_ == in_end_) {
            ok_ = false;
            return 0;
        }
        return *in_++;
    }

    unsigned take_word() {
        const unsigned low = take();
        return low | unsigned{take()} << 8;
    }

    void copy_literals(size_t count) {
        ok_ = ok_ && count <= static_cast<size_t>(in_end_ - in_) &&
              count <= static_cast<size_t>(out_end_ - out_);
        if (!ok_)
            return;
        memcpy(out_, in_, count);
        in_ += count;
        out_ += count;
    }

    // Repeats what was written `distance` bytes ago, also what this very match writes.
    void match(size_t length, size_t distance, unsigned literals) {
        ok_ = ok_ && distance <= static_cast<size_t>(out_ - out_start_) &&
              length <= static_cast<size_t>(out_end_ - out_);
        if (!ok_)
            return;
        for (const uint8_t *from = out_ - distance; length > 0; length--)
            *out_++ = *from++;
        copy_literals(literals);
        literals_ = literals;
    }

    const uint8_t *in_;
    const uint8_t *const in_end_;
    uint8_t *const out_start_;
    uint8_t *out_;
    uint8_t *const out_end_;
    unsigned literals_ = 0; // copied by the last instruction; 4 stands for more than three
    bool ok_ = true;
    bool ended_ = false;
};

} // namespace

ssize_t lzo_decompress(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size) {
    return LzoDecoder(in, in_size, out, out_size).run();
}
