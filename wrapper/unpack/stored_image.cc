#include "stored_image.hh"

#include <algorithm>

namespace stowage {

namespace {

constexpr size_t chunk_bytes = 1 << 20;

} // namespace

StoredImage::StoredImage(const FileWindow &image)
    : image_(image), made_(read_squashfs_super(image).made), buffer_(chunk_bytes) {
}

bool StoredImage::next(Entry &entry) {
    if (begun_)
        return false;
    begun_ = true;
    entry = {};
    entry.type = EntryType::file;
    entry.name = "image.squashfs";
    entry.mode = 0444;
    entry.mtime = {made_, 0};
    entry.size = image_.length();
    return true;
}

bool StoredImage::read(Bytes &piece, uint64_t &offset) {
    if (done_ == image_.length())
        return false;
    const size_t size = std::min<uint64_t>(buffer_.size(), image_.length() - done_);
    image_.read(done_, buffer_.data(), size);
    piece = {buffer_.data(), size};
    offset = done_;
    done_ += size;
    return true;
}

} // namespace stowage
