#include "link_names.hh"
#include "refusal.hh"

namespace stowage {

namespace {

// Hundreds of thousands of files whose other names are far away; forged images claim as many as they like.
constexpr uint64_t most_bytes = 32 << 20;
constexpr uint64_t bytes_per_file = 64;

} // namespace

bool LinkNames::join(uint64_t number, uint64_t links, Entry &entry) {
    if (links < 2)
        return false;
    const auto known = files_.find(number);
    if (known == files_.end()) {
        held_bytes_ += bytes_per_file + entry.name.size();
        if (held_bytes_ > most_bytes)
            refuse_image(
                "the image has too many files whose other names are missing or far away; make it again "
                "with fewer hard links");
        files_[number] = {entry.name, links - 1};
        return false;
    }
    entry.type = EntryType::hard_link;
    entry.link_target = known->second.name;
    if (--known->second.left == 0) {
        held_bytes_ -= bytes_per_file + known->second.name.size();
        files_.erase(known);
    }
    return true;
}

} // namespace stowage
