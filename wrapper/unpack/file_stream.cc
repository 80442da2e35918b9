#include "file_stream.hh"
#include "file_inflater.hh"
#include "file_window.hh"
#include "refusal.hh"

#include <algorithm>
#include <string>
#include <vector>

namespace stowage {

namespace {

constexpr size_t chunk_bytes = 256 * 1024;

std::exception_ptr in_context(const Refusal &refusal) {
    return std::make_exception_ptr(
        Refusal(refusal.fault(), std::string("the file cannot be unpacked: ") + refusal.what()));
}

} // namespace

FileStream::FileStream(const FileSource &source, Purpose purpose, Progress &progress)
    : source_(source), progress_(progress), inflating_(purpose == Purpose::inflating),
      thread_([this] { run(); }) {
}

FileStream::~FileStream() {
    stopping_ = true;
    queue_.stop_listening();
    thread_.join();
}

const BlockQueue::Block *FileStream::next() {
    return queue_.next();
}

void FileStream::verify() {
    queue_.stop_listening();
    verdict_.get();
}

void FileStream::run() {
    try {
        read_file();
        promise_.set_value();
    } catch (...) {
        if (inflating_)
            queue_.close(std::current_exception());
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
        for (;;) {
            if (!filling_) {
                filling_ = queue_.begin_fill();
                if (!filling_) {
                    inflating_ = false;
                    return;
                }
                filling_->size = 0;
            }
            uint8_t *const out = filling_->bytes.data() + filling_->size;
            const auto step = inflater_->run(data, size, out, filling_->bytes.size() - filling_->size);
            filling_->size += step.produced;
            data += step.consumed;
            size -= step.consumed;
            if (filling_->size == filling_->bytes.size())
                push_filled();
            else if (size == 0 || (step.consumed == 0 && step.produced == 0))
                return;
        }
    } catch (const Refusal &refusal) {
        inflating_ = false;
        queue_.close(in_context(refusal));
    }
}

void FileStream::finish_inflating() {
    if (!inflating_)
        return;
    inflating_ = false;
    try {
        if (inflater_)
            inflater_->finish();
        if (filling_)
            push_filled();
        queue_.close();
    } catch (const Refusal &refusal) {
        queue_.close(in_context(refusal));
    }
}

void FileStream::push_filled() {
    queue_.end_fill();
    filling_ = nullptr;
}

} // namespace stowage
