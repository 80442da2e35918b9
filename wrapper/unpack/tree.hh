// The file tree being made: finding, making and removing names in it without ever leaving its root.
//
// Only this process writes the tree, so nothing changes between looking and acting. All directories can be
// read and entered until finish(): an image may say 000, and its later entries still have to get in.
#pragma once

#include "budget.hh"
#include "descriptor.hh"
#include "directory_table.hh"
#include "entry_name.hh"
#include "number_set.hh"
#include "refusal.hh"

#include <array>
#include <cerrno>
#include <deque>
#include <string>
#include <vector>

#include <sys/stat.h>

namespace stowage {

// An open directory of the tree.
struct Directory {
    Descriptor fd;
    uint64_t inode = 0;
};

// A number that stands for the name `base` in `parent`, so that sets of names stay small.
uint64_t place_of(const Directory &parent, const std::string &base);

class Tree {
  public:
    // `root` is an empty directory, `budget` must outlive the tree. Directories may be `max_depth` levels
    // below the root.
    Tree(Descriptor root, Budget &budget, unsigned max_depth);

    // From now on names belong to another layer, above the earlier ones.
    void begin_layer(bool is_lowest);

    // The directory `path` (cleaned), links followed inside the root. Missing directories are made, also
    // where a dangling link leads, and lower files in the way replaced. `entry` names the culprit in a
    // refusal. Valid until the next call of any method that makes, opens or removes directories.
    const Directory &make_parent(const std::string &path, const std::string &entry);
    // The same without making anything; nullptr if `path` is no directory of the tree.
    const Directory *find_parent(const std::string &path, const std::string &entry);

    const Directory &root() const {
        return root_;
    }

    // Whether what is made with a mode has that mode. Not so below a directory with a default access control
    // list or a setgid bit, or in odd file systems: modes must then be set afterwards.
    bool keeps_modes() const {
        return keeps_modes_;
    }

    // Makes the directory `name`, or keeps the one that is there. Anything else of that name is removed.
    // Valid as make_parent's.
    const Directory &put_directory(const EntryName &name, mode_t mode, const std::string &entry);
    // Says what the directory shall be in the end. mtime.tv_nsec may be UTIME_OMIT.
    void set_directory(const Directory &directory, mode_t mode, const struct timespec &mtime);

    // Calls `make`, a system call that makes `base`, and removes what it finds in its place.
    template <typename Make>
    void replace(const Directory &parent, const std::string &base, const std::string &subject, Make make) {
        if (make() >= 0)
            return;
        if (errno == EEXIST) {
            remove(parent, base);
            if (make() >= 0)
                return;
        }
        fail_to_make(errno, subject);
    }

    // Notes that the non-directory `base` belongs to the present layer.
    void mark(const Directory &parent, const std::string &base);
    // Removes `base` and all below it, of whichever layer; nothing if it is not there.
    void remove(const Directory &parent, const std::string &base);
    // Removes what lower layers put at `base` or below; the present layer's own entries stay.
    void hide_lower(const Directory &parent, const std::string &base);
    // The same for all names in `directory`.
    void hide_lower_contents(const Directory &directory);

    // Gives all directories their modes and times, from the innermost out.
    void finish();

  private:
    using Meta = DirectoryTable::Meta;

    // A directory that is kept open, because most entries follow a sibling.
    struct Remembered {
        Directory directory;
        std::string path;        // empty: it no longer leads there
        bool is_touched = false; // or touching has no meaning
        uint64_t used = 0;
    };

    bool resolve(const std::string &path, const std::string &entry, bool make, Directory &out);
    Remembered *recall(const std::string &path);
    Remembered &remember(const std::string &path, Directory directory, bool is_touched);
    void forget_paths();
    Directory make_directory(const Directory &parent, const std::string &base, mode_t mode,
                             const std::string &entry);
    bool replaces_lower(const Directory &parent, const std::string &base);
    void touch(const Directory &directory);
    void remove_contents(const Directory &directory);
    void finish_directory(const Directory &directory);
    bool find_whether_modes_are_kept() const;

    Budget &budget_;
    const unsigned max_depth_;
    Directory root_;
    bool keeps_modes_ = false;
    DirectoryTable directories_;

    std::array<Remembered, 16> remembered_;
    uint64_t uses_ = 0;

    // What the present layer has put into the tree: directories that are its own or hold something of it
    // by inode, all else by place_of().
    bool lowest_ = true;
    NumberSet touched_;
    NumberSet marked_;
};

} // namespace stowage
