#include "file_stream.hh"
#include "digest.hh"
#include "file_inflater.hh"
#include "file_window.hh"
#include "refusal.hh"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace stowage {

namespace {

constexpr size_t chunk_bytes = 256 * 1024;
constexpr size_t stages = 2, blocks = 16, block_bytes = 256 * 1024;
constexpr size_t last_stage = 1;

std::exception_ptr in_context(const Refusal &refusal) {
    return std::make_exception_ptr(
        Refusal(refusal.fault(), std::string("the file cannot be unpacked: ") + refusal.what()));
}

} // namespace

FileStream::FileStream(const FileSource &source, Purpose purpose, Progress &progress)
    : source_(source), progress_(progress), ring_(stages, blocks, block_bytes),
      inflating_(purpose == Purpose::inflating), filler_(ring_), thread_([this] { run(); }) {
}

FileStream::~FileStream() {
    stopping_ = true;
    ring_.stop();
    thread_.join();
}

EntrySource::Bytes FileStream::next() {
    const bool ended = held_ && held_->is_last;
    if (!ended) {
        if (held_)
            ring_.pass(last_stage);
        held_ = ring_.take(last_stage);
    }
    if (held_->is_last && damage_)
        std::rethrow_exception(damage_);
    return ended ? EntrySource::Bytes{nullptr, 0} : EntrySource::Bytes{held_->bytes.get(), held_->size};
}

void FileStream::verify() {
    ring_.stop();
    verdict_.get();
}

void FileStream::run() {
    try {
        read_file();
        promise_.set_value();
    } catch (...) {
        end_inflating(std::current_exception());
        promise_.set_exception(std::current_exception());
    }
}

void FileStream::read_file() {
    std::vector<uint8_t> chunk(chunk_bytes);
    DigestCheck digest(source_.digest);
    progress_.report(0, 0, source_.size_bytes);
    for (uint64_t done = 0; done < source_.size_bytes && !stopping_;) {
        const size_t wanted = std::min<uint64_t>(chunk.size(), source_.size_bytes - done);
        const size_t got = read_file_at(source_.fd, chunk.data(), wanted, done);
        if (got < wanted)
            refuse_changed_file();
        digest.update(chunk.data(), got);
        done += got;
        inflate(chunk.data(), got);
        progress_.report(0, done, source_.size_bytes);
    }
    if (stopping_)
        return;
    finish_inflating();
    const std::string found = digest.finish();
    if (found != source_.digest)
        refuse_image("the file does not have the digest " + source_.digest + " that it was known by, but " +
                     found + "; it was changed or replaced, so try again");
}

// What is wrong with the compressed data goes to whoever reads it; the digest is computed nevertheless.
void FileStream::inflate(const uint8_t *data, size_t size) {
    if (!inflating_)
        return;
    try {
        if (!inflater_)
            inflater_ = make_file_inflater(data, size);
        inflating_ = filler_.inflate(*inflater_, data, size);
    } catch (const Refusal &refusal) {
        end_inflating(in_context(refusal));
    }
}

void FileStream::finish_inflating() {
    if (!inflating_)
        return;
    try {
        if (inflater_)
            inflater_->finish();
        end_inflating(nullptr);
    } catch (const Refusal &refusal) {
        end_inflating(in_context(refusal));
    }
}

void FileStream::end_inflating(std::exception_ptr damage) {
    if (!std::exchange(inflating_, false))
        return;
    damage_ = std::move(damage);
    filler_.end();
}

} // namespace stowage
