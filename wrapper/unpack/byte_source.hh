// A stream of bytes cut into pieces by whoever delivers it, taken in pieces that the reader wants.
#pragma once

#include "entry_source.hh"

#include <algorithm>
#include <cstring>
#include <functional>

namespace stowage {

class ByteSource {
  public:
    // Returns the next bytes of the stream, valid until the next call; size 0 at its end. May throw.
    using Pull = std::function<EntrySource::Bytes()>;

    explicit ByteSource(Pull pull) : pull_(std::move(pull)) {
    }
    // At most `largest` bytes where they lie, valid until the next call; size 0 at the end of the stream.
    EntrySource::Bytes take(uint64_t largest) {
        if (rest_.size == 0)
            rest_ = pull_();
        const size_t size = static_cast<size_t>(std::min<uint64_t>(largest, rest_.size));
        const EntrySource::Bytes taken = {rest_.data, size};
        rest_ = {rest_.data + size, rest_.size - size};
        return taken;
    }
    // Copies as much of `size` bytes as there is.
    size_t read(void *buffer, size_t size) {
        size_t done = 0;
        while (done < size) {
            const EntrySource::Bytes piece = take(size - done);
            if (piece.size == 0)
                break;
            memcpy(static_cast<char *>(buffer) + done, piece.data, piece.size);
            done += piece.size;
        }
        return done;
    }

  private:
    Pull pull_;
    EntrySource::Bytes rest_ = {nullptr, 0};
};

} // namespace stowage
