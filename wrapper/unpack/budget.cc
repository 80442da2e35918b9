#include "budget.hh"
#include "entry_name.hh"
#include "refusal.hh"

#include <algorithm>

namespace stowage {

namespace {

// A name costs a header, often an extended one, and padding; upper layers may replace what lower ones hold.
constexpr uint64_t header_bytes_per_inode = 4096;
constexpr uint64_t smallest_stream = 64 << 20;
constexpr uint64_t ceiling = uint64_t{1} << 62;

uint64_t stream_limit(uint64_t max_bytes, uint64_t max_inodes) {
    const uint64_t contents = std::min(max_bytes, ceiling / 4) * 2;
    const uint64_t headers =
        std::min(max_inodes, ceiling / 4 / header_bytes_per_inode) * header_bytes_per_inode;
    return contents + headers + smallest_stream;
}

} // namespace

Budget::Budget(uint64_t max_bytes, uint64_t max_inodes)
    : max_bytes_(max_bytes), max_inodes_(max_inodes), max_stream_(stream_limit(max_bytes, max_inodes)) {
}

void Budget::take_bytes(uint64_t bytes, const std::string &entry) {
    if (bytes > max_bytes_ - bytes_)
        refuse_image(
            "with the entry " + quoted(entry) + " the image's files exceed the " +
            std::to_string(max_bytes_) +
            " bytes that one image may unpack to; use a smaller image or ask the administrator for more");
    bytes_ += bytes;
}

void Budget::take_inode(const std::string &entry) {
    if (inodes_ == max_inodes_)
        refuse_image(
            "with the entry " + quoted(entry) + " the image exceeds the " + std::to_string(max_inodes_) +
            " files that one image may have; use an image of fewer files or ask the administrator for "
            "more");
    inodes_++;
}

void Budget::give_back(uint64_t bytes) {
    bytes_ -= std::min(bytes_, bytes);
    inodes_ -= std::min<uint64_t>(inodes_, 1);
}

void Budget::take_stream(uint64_t bytes) {
    if (bytes > max_stream_ - stream_)
        refuse_image("its layers unpack to far more data than the image's files may hold (" +
                     std::to_string(max_bytes_) +
                     " bytes); use a smaller image or ask the administrator for more");
    stream_ += bytes;
}

} // namespace stowage
