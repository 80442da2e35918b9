#include "squashfs_decoder.hh"
#include "lzo.h"

#include <new>

#include <isa-l/igzip_lib.h>
#include <lz4.h>
#include <lzma.h>
#include <zstd.h>
#include <zstd_errors.h>

namespace stowage {

namespace {

[[noreturn]] void refuse_block(const char *compression) {
    refuse_damaged_squashfs(std::string("a block's ") + compression + " data does not decompress");
}

class ZlibDecoder : public SquashfsDecoder {
  public:
    size_t decode(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size) override {
        isal_inflate_init(&state_);
        state_.crc_flag = ISAL_ZLIB;
        state_.next_in = const_cast<uint8_t *>(in);
        state_.avail_in = static_cast<uint32_t>(in_size);
        state_.next_out = out;
        state_.avail_out = static_cast<uint32_t>(out_size);
        if (isal_inflate_stateless(&state_) != ISAL_DECOMP_OK)
            refuse_block("gzip");
        return out_size - state_.avail_out;
    }

  private:
    inflate_state state_;
};

class LzoBlockDecoder : public SquashfsDecoder {
  public:
    size_t decode(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size) override {
        const ssize_t size = lzo_decompress(in, in_size, out, out_size);
        if (size < 0)
            refuse_block("lzo");
        return static_cast<size_t>(size);
    }
};

class XzDecoder : public SquashfsDecoder {
  public:
    size_t decode(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size) override {
        // No dictionary is larger than a block, which is 1 MiB at most.
        uint64_t memory_limit = 16 << 20;
        size_t in_done = 0, out_done = 0;
        const lzma_ret result = lzma_stream_buffer_decode(&memory_limit, 0, nullptr, in, &in_done, in_size,
                                                          out, &out_done, out_size);
        if (result == LZMA_MEM_ERROR)
            throw std::bad_alloc();
        if (result != LZMA_OK)
            refuse_block("xz");
        return out_done;
    }
};

class Lz4Decoder : public SquashfsDecoder {
  public:
    size_t decode(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size) override {
        const int size =
            LZ4_decompress_safe(reinterpret_cast<const char *>(in), reinterpret_cast<char *>(out),
                                static_cast<int>(in_size), static_cast<int>(out_size));
        if (size < 0)
            refuse_block("lz4");
        return static_cast<size_t>(size);
    }
};

class ZstdDecoder : public SquashfsDecoder {
  public:
    ZstdDecoder() : context_(ZSTD_createDCtx(), ZSTD_freeDCtx) {
        if (!context_)
            throw std::bad_alloc();
    }
    size_t decode(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size) override {
        const size_t size = ZSTD_decompressDCtx(context_.get(), out, out_size, in, in_size);
        if (ZSTD_isError(size)) {
            if (ZSTD_getErrorCode(size) == ZSTD_error_memory_allocation)
                throw std::bad_alloc();
            refuse_block("zstd");
        }
        return size;
    }

  private:
    std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx *)> context_;
};

} // namespace

std::unique_ptr<SquashfsDecoder> make_squashfs_decoder(SquashfsCompression compression) {
    switch (compression) {
    case SquashfsCompression::gzip:
        return std::make_unique<ZlibDecoder>();
    case SquashfsCompression::lzo:
        return std::make_unique<LzoBlockDecoder>();
    case SquashfsCompression::xz:
        return std::make_unique<XzDecoder>();
    case SquashfsCompression::lz4:
        return std::make_unique<Lz4Decoder>();
    case SquashfsCompression::zstd:
        return std::make_unique<ZstdDecoder>();
    }
    refuse_block("unknown");
}

} // namespace stowage
