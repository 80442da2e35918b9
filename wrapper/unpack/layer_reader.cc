#include "layer_reader.hh"
#include "refusal.hh"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include <unistd.h>

namespace stowage {

namespace {

constexpr size_t chunk_bytes = 256 * 1024;

size_t read_at(int fd, uint8_t *buffer, size_t size, uint64_t offset, const std::string &layer) {
    for (;;) {
        const ssize_t got = pread(fd, buffer, size, static_cast<off_t>(offset));
        if (got >= 0)
            return static_cast<size_t>(got);
        if (errno != EINTR)
            fail_with(errno, "cannot read layer " + layer);
    }
}

} // namespace

LayerReader::LayerReader(const LayerSource &source, size_t index, Progress &progress)
    : source_(source), index_(index), progress_(progress), blob_digest_(source.digest),
      stream_digest_(source.diff_id), thread_([this] { run(); }) {
}

LayerReader::~LayerReader() {
    mode_ = Mode::stopping;
    queue_.stop_listening();
    thread_.join();
}

const BlockQueue::Block *LayerReader::next() {
    return queue_.next();
}

void LayerReader::blame_blob_if_wrong() {
    mode_ = Mode::hashing;
    queue_.stop_listening();
    const std::exception_ptr error = queue_.wait_closed();
    if (error && blob_wrong_)
        std::rethrow_exception(error);
}

void LayerReader::run() {
    try {
        read_blob();
        queue_.close();
    } catch (...) {
        queue_.close(std::current_exception());
    }
}

void LayerReader::read_blob() {
    std::vector<uint8_t> chunk(chunk_bytes);
    std::optional<Refusal> damage;
    progress_.report(index_, 0, source_.size_bytes);
    for (uint64_t done = 0; done < source_.size_bytes && mode_ != Mode::stopping;) {
        const size_t wanted = std::min<uint64_t>(chunk.size(), source_.size_bytes - done);
        const size_t got = read_at(source_.fd, chunk.data(), wanted, done, source_.digest);
        if (got == 0)
            refuse_blob("ends after " + std::to_string(done) + " of " + std::to_string(source_.size_bytes) +
                        " bytes");
        blob_digest_.update(chunk.data(), got);
        done += got;
        try {
            if (!damage && mode_ == Mode::inflating)
                inflate(chunk.data(), got);
        } catch (const Refusal &refusal) {
            damage = refusal;
        }
        progress_.report(index_, done, source_.size_bytes);
    }
    if (mode_ == Mode::stopping)
        return;
    // A wrong digest explains damaged data, not the other way round.
    check_blob();
    if (mode_ != Mode::inflating)
        return;
    try {
        if (damage)
            throw *damage;
        if (inflater_)
            inflater_->finish();
    } catch (const Refusal &refusal) {
        throw Refusal(refusal.fault(), "layer " + source_.digest + " cannot be unpacked: " + refusal.what());
    }
    check_stream();
}

void LayerReader::inflate(const uint8_t *data, size_t size) {
    if (!inflater_)
        inflater_ = make_inflater(data, size);
    for (;;) {
        if (!filling_) {
            filling_ = queue_.begin_fill();
            if (!filling_)
                return;
            filling_->size = 0;
        }
        uint8_t *const out = filling_->bytes.data() + filling_->size;
        const auto step = inflater_->run(data, size, out, filling_->bytes.size() - filling_->size);
        stream_digest_.update(out, step.produced);
        filling_->size += step.produced;
        data += step.consumed;
        size -= step.consumed;
        const bool full = filling_->size == filling_->bytes.size();
        if (full)
            push_filled();
        else if (size == 0 || (step.consumed == 0 && step.produced == 0))
            return;
    }
}

void LayerReader::push_filled() {
    queue_.end_fill();
    filling_ = nullptr;
}

void LayerReader::check_blob() {
    uint8_t extra;
    if (read_at(source_.fd, &extra, 1, source_.size_bytes, source_.digest) > 0)
        refuse_blob("is longer than the " + std::to_string(source_.size_bytes) + " bytes the manifest says");
    const std::string digest = blob_digest_.finish();
    if (digest != source_.digest)
        refuse_blob("does not match its digest (its bytes have " + digest + ")");
}

void LayerReader::check_stream() {
    const std::string diff_id = stream_digest_.finish();
    if (diff_id != source_.diff_id)
        refuse_image("layer " + source_.digest + " unpacks to " + diff_id +
                     " but the image's configuration says " + source_.diff_id +
                     "; rebuild the image and push it again");
    if (filling_)
        push_filled();
}

void LayerReader::refuse_blob(const std::string &reason) {
    blob_wrong_ = true;
    refuse_image("layer " + source_.digest + ' ' + reason +
                 "; try again, and if it stays so push the image again");
}

} // namespace stowage
