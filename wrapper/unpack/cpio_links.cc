#include "cpio_links.hh"
#include "entry_name.hh"
#include "refusal.hh"

#include <algorithm>

namespace stowage {

namespace {

// Far more than any image has hard links and directories; what a forged one can make us remember.
constexpr uint64_t most_held_bytes = 32 << 20;
// What a name costs besides itself.
constexpr uint64_t bytes_per_name = 160;

Entry link_to(const Entry &entry, const std::string &target) {
    Entry link = entry;
    link.type = EntryType::hard_link;
    link.link_target = target;
    link.size = 0;
    return link;
}

} // namespace

CpioLinks::Verdict CpioLinks::join(const CpioHeader &header, Entry &entry, std::vector<Entry> &ready) {
    const Key key(header.device, header.inode);
    if (header.is_new()) {
        const auto directory = directories_.find(key);
        if (directory != directories_.end() && header.inode != 0)
            refuse_image("the entry " + quoted(entry.name) + " is said to be the same as the directory " +
                         quoted(directory->second) + "; rebuild the archive");
    }
    const auto at = files_.emplace(key, File{}).first;
    File &file = at->second;
    file.seen++;
    const bool is_last = file.seen >= header.links;
    if (!file.made.empty()) {
        // In old headers two files may share a number that has too few bits.
        if (header.size != 0 && header.size != file.size)
            return Verdict::file;
        entry = link_to(entry, file.made);
        if (is_last)
            forget(at);
        return Verdict::linked;
    }
    if (header.size == 0 && header.is_new() && !is_last) {
        take_memory(entry.name);
        file.waiting.push_back(entry);
        return Verdict::waits;
    }
    for (const Entry &waiting : file.waiting)
        ready.push_back(link_to(waiting, entry.name));
    if (is_last) {
        forget(at);
    } else {
        take_memory(entry.name);
        file.made = entry.name;
        file.size = header.size;
        file.waiting.clear();
    }
    return Verdict::file;
}

std::vector<Entry> CpioLinks::take_waiting() {
    std::vector<Entry> entries;
    for (auto &[key, file] : files_) {
        const std::string first = file.waiting.empty() ? "" : file.waiting.front().name;
        for (const Entry &waiting : file.waiting)
            entries.push_back(waiting.name == first ? waiting : link_to(waiting, first));
    }
    files_.clear();
    return entries;
}

void CpioLinks::see_directory(const CpioHeader &header, const std::string &name) {
    // Some writers number nothing.
    if (!header.is_new() || header.inode == 0)
        return;
    const std::string cleaned = clean_name(name).full();
    const Key key(header.device, header.inode);
    const auto [at, is_first] = directories_.emplace(key, cleaned);
    if (is_first)
        take_memory(cleaned);
    else if (at->second != cleaned)
        refuse_image("the directory " + quoted(name) + " is said to be a hard link to " + quoted(at->second) +
                     ", which Linux does not have; rebuild the archive");
}

void CpioLinks::take_memory(const std::string &name) {
    held_bytes_ += name.size() + bytes_per_name;
    if (held_bytes_ > most_held_bytes)
        refuse_image("the archive has more hard links and directories than can be kept in mind (32 MiB of "
                     "names); store the image as tar");
}

void CpioLinks::forget(std::map<Key, File>::iterator file) {
    uint64_t bytes = file->second.made.empty() ? 0 : file->second.made.size() + bytes_per_name;
    for (const Entry &waiting : file->second.waiting)
        bytes += waiting.name.size() + bytes_per_name;
    held_bytes_ -= std::min(held_bytes_, bytes);
    files_.erase(file);
}

} // namespace stowage
