#include "budget.hh"
#include "entry_name.hh"
#include "refusal.hh"

#include <algorithm>
#include <cerrno>

#include <sys/vfs.h>

namespace stowage {

namespace {

// A name costs a header, often an extended one, and padding; upper layers may replace what lower ones hold.
constexpr uint64_t header_bytes_per_inode = 4096;
constexpr uint64_t smallest_stream = 64 << 20;
constexpr uint64_t ceiling = uint64_t{1} << 62;
constexpr uint64_t page_bytes = 4096;
constexpr uint64_t megabyte = 1000 * 1000;
constexpr char node_remedy[] =
    "; run on another node, use a smaller image, or ask the administrator to enlarge it";

uint64_t whole_pages(uint64_t bytes) {
    return (bytes + page_bytes - 1) / page_bytes * page_bytes;
}

uint64_t stream_limit(uint64_t max_bytes, uint64_t max_inodes) {
    const uint64_t contents = std::min(max_bytes, ceiling / 4) * 2;
    const uint64_t headers =
        std::min(max_inodes, ceiling / 4 / header_bytes_per_inode) * header_bytes_per_inode;
    return contents + headers + smallest_stream;
}

} // namespace

FreeSpace free_space_of(int directory) {
    struct statfs status;
    if (fstatfs(directory, &status) != 0)
        fail_with(errno, "cannot tell how much room the tree store has");
    // A tmpfs without limits says that it has none of anything.
    FreeSpace free;
    if (status.f_blocks > 0)
        free.bytes = static_cast<uint64_t>(status.f_bavail) * static_cast<uint64_t>(status.f_bsize);
    if (status.f_files > 0)
        free.inodes = status.f_ffree;
    return free;
}

Budget::Budget(uint64_t max_bytes, uint64_t max_inodes, const FreeSpace &free)
    : max_bytes_(max_bytes), max_inodes_(max_inodes), max_stream_(stream_limit(max_bytes, max_inodes)),
      free_(free) {
}

void Budget::take_file(uint64_t bytes, uint64_t stored_bytes, const std::string &entry) {
    if (bytes > max_bytes_ - bytes_)
        refuse_image(
            "with the entry " + quoted(entry) + " the image's files exceed the " +
            std::to_string(max_bytes_) +
            " bytes that one image may unpack to; use a smaller image or ask the administrator for more");
    bytes_ += bytes;
    stored_bytes_ += whole_pages(std::min(bytes, stored_bytes));
    if (free_.bytes && stored_bytes_ > *free_.bytes)
        throw Refusal(Fault::node, "with the entry " + quoted(entry) + " the image needs more than the " +
                                       std::to_string(*free_.bytes / megabyte) +
                                       " MB that were free in the tree store on this node" + node_remedy);
}

void Budget::take_inode(const std::string &entry) {
    if (inodes_ == max_inodes_)
        refuse_image(
            "with the entry " + quoted(entry) + " the image exceeds the " + std::to_string(max_inodes_) +
            " files that one image may have; use an image of fewer files or ask the administrator for "
            "more");
    inodes_++;
    // The last one is left to others.
    if (free_.inodes && inodes_ >= *free_.inodes)
        throw Refusal(Fault::node, "with the entry " + quoted(entry) + " the image needs all of the " +
                                       std::to_string(*free_.inodes) +
                                       " files that the tree store on this node had room for" + node_remedy);
}

void Budget::give_back(uint64_t bytes) {
    bytes_ -= std::min(bytes_, bytes);
    stored_bytes_ -= std::min(stored_bytes_, whole_pages(bytes));
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
