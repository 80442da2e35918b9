// The entries of a directory of the user's, as it is found; somebody may be changing it meanwhile.
#pragma once

#include "descriptor.hh"
#include "entry_source.hh"
#include "link_names.hh"

#include <dirent.h>
#include <memory>
#include <sys/stat.h>

namespace stowage {

class DirectoryReader : public EntrySource {
  public:
    // `fd` is borrowed. `destination`, a directory, must not lie inside. Throws Refusal.
    DirectoryReader(int fd, int destination);

    bool next(Entry &entry) override;
    bool read(Bytes &piece, uint64_t &offset) override;
    // Sentences about what was left out, one a line, to stderr.
    void report() const;

  private:
    struct Level {
        std::unique_ptr<DIR, int (*)(DIR *)> stream;
        std::string path;
    };
    void enter(Descriptor fd, const std::string &path);
    bool describe(int parent, const std::string &base, const std::string &name, Entry &entry);
    void describe_open(int fd, const struct stat &status, Entry &entry);

    std::vector<Level> levels_; // from the root to the present one
    bool begun_ = false;
    dev_t device_ = 0;
    struct stat destination_;
    LinkNames links_;
    uint64_t mounts_ = 0;

    Descriptor file_;
    uint64_t offset_ = 0;
    uint64_t size_ = 0;
    std::string name_;
    std::vector<uint8_t> buffer_;
};

} // namespace stowage
