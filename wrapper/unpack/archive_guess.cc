#include "archive_guess.hh"

#include <algorithm>
#include <iterator>

namespace stowage {

namespace {

const char *const root_directories[] = {"bin",  "dev", "etc",  "home", "lib", "lib64", "mnt", "opt", "proc",
                                        "root", "run", "sbin", "srv",  "sys", "tmp",   "usr", "var"};

} // namespace

void ArchiveGuess::see(const std::string &name, bool is_file) {
    const std::string first = name.substr(0, name.find('/'));
    root_ = root_ || std::find(std::begin(root_directories), std::end(root_directories), first) !=
                         std::end(root_directories);
    manifest_ = manifest_ || (is_file && name == "manifest.json");
    layout_ = layout_ || (is_file && name == "oci-layout");
    index_ = index_ || (is_file && name == "index.json");
}

} // namespace stowage
