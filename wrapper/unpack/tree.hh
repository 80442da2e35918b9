// The file tree being made: finding, making and removing names in it without ever leaving its root.
//
// Only this process writes the tree, so nothing changes between looking and acting. All directories are
// mode 0700 until finish(): an image may say 000, and its later entries still have to get in.
#pragma once

#include "budget.hh"
#include "descriptor.hh"
#include "entry_name.hh"
#include "number_set.hh"

#include <deque>
#include <string>
#include <unordered_map>

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
    // `root` is an empty directory, `budget` must outlive the tree.
    Tree(Descriptor root, Budget &budget);

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

    // Makes the directory `base`, or keeps the one that is there, and says what it shall be in the end.
    // Anything else of that name is removed. Returns it open.
    Directory put_directory(const Directory &parent, const std::string &base, const std::string &entry);
    // mtime.tv_nsec may be UTIME_OMIT.
    void set_directory(const Directory &directory, mode_t mode, const struct timespec &mtime);

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
    struct Meta {
        mode_t mode = 0755;
        struct timespec mtime = {0, UTIME_OMIT};
        unsigned depth = 0;
    };

    bool resolve(const std::string &path, const std::string &entry, bool make, Directory &out);
    Directory make_directory(const Directory &parent, const std::string &base, const std::string &entry);
    bool replaces_lower(const Directory &parent, const std::string &base);
    void touch(const Directory &directory);
    void remove_contents(const Directory &directory);
    void finish_directory(const Directory &directory);

    Budget &budget_;
    Directory root_;
    std::unordered_map<uint64_t, Meta> directories_; // by inode

    // Kept open, because most entries follow a sibling.
    Directory parent_;
    std::string parent_path_;

    // What the present layer has put into the tree: directories that are its own or hold something of it
    // by inode, all else by place_of().
    bool lowest_ = true;
    NumberSet touched_;
    NumberSet marked_;
};

} // namespace stowage
