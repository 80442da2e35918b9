#include "blob_reader.hh"
#include "refusal.hh"

#include <algorithm>
#include <cerrno>

#include <poll.h>
#include <unistd.h>

namespace stowage {

namespace {

constexpr size_t stage = 0;
constexpr int growth_interval_ms = 4;

size_t read_at(const LayerSource &layer, uint8_t *buffer, size_t size, uint64_t offset) {
    for (;;) {
        const ssize_t got =
            pread(layer.fd, buffer, size, static_cast<off_t>(layer.offset.value_or(0) + offset));
        if (got >= 0)
            return static_cast<size_t>(got);
        if (errno != EINTR)
            fail_with(errno, "cannot read layer " + layer.name());
    }
}

[[noreturn]] void refuse_blob(const LayerSource &layer, const std::string &reason) {
    refuse_image("layer " + layer.name() + ' ' + reason +
                 "; try again, and if it stays so build the image again");
}

} // namespace

void BlobReader::run() {
    for (size_t i = 0; i < options_.layers.size(); i++)
        if (!read_layer(i))
            return;
}

// False when the ring was stopped.
bool BlobReader::read_layer(size_t index) {
    const LayerSource &layer = options_.layers[index];
    progress_.report(index, 0, layer.size_bytes);
    std::optional<DigestCheck> digest;
    if (!layer.digest.empty())
        digest.emplace(layer.digest);
    uint64_t done = 0;
    while (Block *const block = ring_.take(stage)) {
        try {
            block->size = read_some(layer, *block, done);
            if (digest)
                digest->update(block->bytes.get(), block->size);
            done += block->size;
            block->is_last = done == layer.size_bytes;
            progress_.report(index, done, layer.size_bytes);
            if (block->is_last)
                check(layer, digest);
        } catch (...) {
            verdicts_[index].blob = std::current_exception();
            block->is_last = true;
        }
        const bool was_last = block->is_last;
        ring_.pass(stage);
        if (was_last)
            return true;
    }
    return false;
}

// Waits for at least one byte, unless the layer has none or the ring was stopped.
size_t BlobReader::read_some(const LayerSource &layer, Block &block, uint64_t done) {
    const size_t wanted = std::min<uint64_t>(ring_.block_bytes(), layer.size_bytes - done);
    for (;;) {
        const size_t got = read_at(layer, block.bytes.get(), wanted, done);
        if (got > 0 || wanted == 0)
            return got;
        if (!options_.is_growing)
            refuse_blob(layer, "ends after " + std::to_string(done) + " of " +
                                   std::to_string(layer.size_bytes) + " bytes");
        if (ring_.is_stopped())
            return 0;
        poll(nullptr, 0, growth_interval_ms);
    }
}

void BlobReader::check(const LayerSource &layer, std::optional<DigestCheck> &digest) const {
    // A member of an archive is followed by other members.
    uint8_t extra;
    if (!layer.offset && read_at(layer, &extra, 1, layer.size_bytes) > 0)
        refuse_blob(layer,
                    "is longer than the " + std::to_string(layer.size_bytes) + " bytes the manifest says");
    if (!digest)
        return;
    const std::string found = digest->finish();
    if (found != layer.digest)
        refuse_blob(layer, "does not match its digest (its bytes have " + found + ")");
}

} // namespace stowage
