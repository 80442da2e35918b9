// A squashfs image that is to be mounted: the one file of its tree.
#pragma once

#include "entry_source.hh"
#include "squashfs_super.hh"

namespace stowage {

class StoredImage : public EntrySource {
  public:
    // Throws Refusal for an image that cannot be mounted.
    explicit StoredImage(const FileWindow &image);

    bool next(Entry &entry) override;
    bool read(Bytes &piece, uint64_t &offset) override;

  private:
    FileWindow image_;
    uint32_t made_;
    bool begun_ = false;
    uint64_t done_ = 0;
    std::vector<uint8_t> buffer_;
};

} // namespace stowage
