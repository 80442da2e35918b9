// Where the members of an uncompressed tar archive are, found without reading their contents.
#pragma once

#include "archive_guess.hh"
#include "tar_headers.hh"

#include <functional>
#include <map>

namespace stowage {

struct TarMember {
    uint64_t offset;
    uint64_t size;
};

class TarMembers {
  public:
    // Reads a block of 512 bytes and returns true, or false at the end of the file.
    using ReadBlock = std::function<bool(uint8_t *)>;
    // Goes on by so many bytes.
    using Skip = std::function<void(uint64_t)>;

    // Goes through the archive until it is clear that it is a root file system, or has more members than an
    // image archive would. Throws Refusal for damage.
    void scan(const ReadBlock &read_block, const Skip &skip);

    bool is_image_archive() const {
        return complete_ && guess_.is_image_archive();
    }
    // The regular files by name, cleaned; links to them too, under their own names.
    std::map<std::string, TarMember> files() const;

  private:
    struct Member {
        bool is_file;
        TarMember place;
        std::string target; // of a link: cleaned name of another member
    };

    void see(const TarHeaders::Header &header);

    ArchiveGuess guess_;
    std::map<std::string, Member> members_;
    bool complete_ = false;
};

} // namespace stowage
