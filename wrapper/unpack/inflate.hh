// Decompressing a layer as a stream. What it is compressed with is sniffed; media types lie.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace stowage {

class Inflater {
  public:
    struct Step {
        size_t consumed;
        size_t produced;
    };

    virtual ~Inflater() = default;
    // Takes from `in` and fills `out` as far as either goes. Throws Refusal on malformed data. When it
    // fills `out` there may be more without further input.
    virtual Step run(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size) = 0;
    // Call after the last input; throws Refusal if the data stops in the middle.
    virtual void finish() = 0;
};

// Chooses by the first bytes of the layer; `size` may be less than four for tiny layers.
std::unique_ptr<Inflater> make_inflater(const uint8_t *start, size_t size);

std::unique_ptr<Inflater> make_gzip_inflater();
std::unique_ptr<Inflater> make_zstd_inflater();

} // namespace stowage
