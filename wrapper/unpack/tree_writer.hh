// Applies the entries of the layers, or of a whole root file system, to the tree, one after the other.
#pragma once

#include "entry_source.hh"
#include "tree.hh"

namespace stowage {

// What the entries are of. Names that begin with `.wh.` are whiteouts in layers, and names like any other in
// a whole root file system.
enum class EntriesOf { layers, whole };

class TreeWriter {
  public:
    // All must outlive the writer.
    TreeWriter(Tree &tree, Budget &budget, EntriesOf entries)
        : tree_(tree), budget_(budget), entries_(entries) {
    }

    // `source` stands at `entry` and provides its content.
    void apply(const Entry &entry, EntrySource &source);
    // Sentences about what was left out, one a line, to stderr.
    void report() const;

  private:
    bool apply_whiteout(const EntryName &name, const Entry &entry);
    void put_directory(const EntryName &name, const Entry &entry);
    void put_file(const EntryName &name, const Entry &entry, EntrySource &source);
    void put_symlink(const EntryName &name, const Entry &entry);
    void put_hard_link(const EntryName &name, const Entry &entry);
    void skip_special(const EntryName &name);
    void write_content(int fd, const Entry &entry, EntrySource &source);
    void set_attributes(int fd, const Entry &entry);

    Tree &tree_;
    Budget &budget_;
    const EntriesOf entries_;
    NumberSet skipped_; // where devices would be, so that hard links to them are skipped too
    uint64_t specials_ = 0;
    uint64_t nameless_ = 0;
    uint64_t attributes_lost_ = 0;
};

} // namespace stowage
