// The extended attributes in a squashfs image. Only those for users are read; others are not kept anyway.
#pragma once

#include "entry_source.hh"
#include "squashfs_metadata.hh"

namespace stowage {

class SquashfsAttributes {
  public:
    SquashfsAttributes(const FileWindow &image, const SquashfsSuper &super, SquashfsDecoder &decoder);

    // Those of an inode that has `number`. Throws Refusal for damage, and beyond 1 MiB.
    std::vector<Attribute> read(uint32_t number);

  private:
    std::string read_value(SquashfsMetadata::Place &place, bool is_elsewhere);

    FileWindow image_;
    SquashfsMetadata metadata_;
    uint64_t table_;
    uint64_t list_ = 0; // of the blocks of the table of numbers
    uint64_t values_ = 0;
    uint32_t count_ = 0;
};

} // namespace stowage
