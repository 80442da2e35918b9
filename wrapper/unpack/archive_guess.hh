// Tells an archive of an image (what `docker save`, `podman save` and skopeo write) from a root file system,
// by the names at the top. Pure.
#pragma once

#include <string>

namespace stowage {

class ArchiveGuess {
  public:
    // Notes one entry; `name` is cleaned.
    void see(const std::string &name, bool is_file);
    // Something that only root file systems have has been seen; the rest does not matter any more.
    bool is_root_file_system() const {
        return root_;
    }
    // To be asked once all entries have been seen.
    bool is_image_archive() const {
        return !root_ && (manifest_ || (layout_ && index_));
    }

  private:
    bool root_ = false;
    bool manifest_ = false;
    bool layout_ = false;
    bool index_ = false;
};

} // namespace stowage
