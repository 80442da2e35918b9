// Applies the entries of the layers to the tree, one after the other.
#pragma once

#include "tar_reader.hh"
#include "tree.hh"

namespace stowage {

class TreeWriter {
  public:
    // All must outlive the writer.
    TreeWriter(Tree &tree, Budget &budget) : tree_(tree), budget_(budget) {
    }

    // `reader` stands at `entry` and provides its content.
    void apply(const TarEntry &entry, TarReader &reader);
    // Sentences about what was left out, one a line, to stderr.
    void report() const;

  private:
    void put_directory(const EntryName &name, const TarEntry &entry);
    void put_file(const EntryName &name, const TarEntry &entry, TarReader &reader);
    void put_symlink(const EntryName &name, const TarEntry &entry);
    void put_hard_link(const EntryName &name, const TarEntry &entry);
    void skip_special(const EntryName &name);
    void write_content(int fd, const TarEntry &entry, TarReader &reader);
    void set_attributes(int fd, const TarEntry &entry);

    Tree &tree_;
    Budget &budget_;
    NumberSet skipped_; // where devices would be, so that hard links to them are skipped too
    uint64_t specials_ = 0;
    uint64_t nameless_ = 0;
    uint64_t attributes_lost_ = 0;
};

} // namespace stowage
