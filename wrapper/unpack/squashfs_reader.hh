// The entries of a squashfs image, a directory before what is in it.
#pragma once

#include "entry_source.hh"
#include "link_names.hh"
#include "number_set.hh"
#include "squashfs_attributes.hh"
#include "squashfs_inode.hh"

namespace stowage {

class SquashfsReader : public EntrySource {
  public:
    // Throws Refusal.
    explicit SquashfsReader(const FileWindow &image);

    bool next(Entry &entry) override;
    bool read(Bytes &piece, uint64_t &offset) override;

  private:
    // A directory that is being gone through.
    struct Listing {
        std::string path;
        SquashfsMetadata::Place place;
        uint64_t left;            // bytes
        uint32_t in_group = 0;    // names that share what their header says
        uint32_t inode_block = 0; // from the header
        std::string last;         // name
    };

    struct Item {
        uint64_t inode; // reference
        uint16_t type;  // of directories: 1
        std::string name;
    };

    struct Fragment {
        uint32_t index = squashfs_none;
        size_t size = 0;
        std::vector<uint8_t> bytes;
    };
    // Files that are neighbours share fragments, though not always one only.
    static constexpr size_t cached_fragments = 4;

    bool next_item(Listing &listing, Item &item);
    void take(Listing &listing, void *buffer, size_t size);
    void describe(uint64_t reference, const std::string &name, Entry &entry);
    void enter(uint64_t reference, const std::string &path);
    size_t read_block(uint32_t word, uint64_t position, uint8_t *out, size_t out_size);
    const Fragment &load_fragment(uint32_t index);

    SquashfsSuper super_;
    FileWindow image_; // as far as it is used
    std::unique_ptr<SquashfsDecoder> decoder_;
    SquashfsMetadata inodes_;
    SquashfsMetadata directories_;
    SquashfsMetadata blocks_;
    SquashfsMetadata fragments_;
    SquashfsAttributes attributes_;

    bool begun_ = false;
    std::vector<Listing> listings_; // from the root to the present one
    NumberSet entered_;             // inodes of directories
    LinkNames links_;

    // The present file.
    SquashfsInode inode_;
    uint64_t offset_ = 0; // of what comes next
    std::vector<uint8_t> compressed_;
    std::vector<uint8_t> block_;
    std::array<Fragment, cached_fragments> cache_;
};

} // namespace stowage
