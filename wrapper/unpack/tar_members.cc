#include "tar_members.hh"
#include "entry_name.hh"
#include "refusal.hh"

#include <array>

namespace stowage {

namespace {

constexpr size_t block_bytes = 512;
constexpr size_t most_members = 10000;
constexpr int most_links = 40;

// Where a symbolic link in `directory` leads, by the letters alone; empty if it leaves the archive.
std::string resolve(const std::string &directory, const std::string &target) {
    if (target.empty() || target[0] == '/')
        return "";
    std::string path = directory;
    for (size_t start = 0; start < target.size();) {
        const size_t end = std::min(target.find('/', start), target.size());
        const std::string component = target.substr(start, end - start);
        start = end + 1;
        if (component.empty() || component == ".")
            continue;
        if (component == "..") {
            if (path.empty())
                return "";
            const size_t slash = path.rfind('/');
            path.resize(slash == std::string::npos ? 0 : slash);
            continue;
        }
        path += path.empty() ? component : '/' + component;
    }
    return path;
}

} // namespace

void TarMembers::scan(const ReadBlock &read_block, const Skip &skip) {
    TarHeaders headers;
    std::array<uint8_t, block_bytes> block;
    while (read_block(block.data())) {
        headers.feed(block.data(), block.size());
        while (const auto header = headers.take())
            see(*header);
        if (guess_.is_root_file_system() || members_.size() > most_members)
            return;
        if (const uint64_t body = headers.skip_body_bytes())
            skip(body);
    }
    complete_ = true;
}

void TarMembers::see(const TarHeaders::Header &header) {
    const EntryName name = clean_name(header.name);
    if (name.is_root())
        return;
    Member member{false, {header.body_offset, header.body_size}, ""};
    switch (header.type) {
    case '0':
        member.is_file = true;
        break;
    case '1':
        member.target = resolve("", header.link_target);
        break;
    case '2':
        member.target = resolve(name.parent, header.link_target);
        break;
    default:
        break;
    }
    guess_.see(name.full(), member.is_file);
    members_[name.full()] = member;
}

std::map<std::string, TarMember> TarMembers::files() const {
    std::map<std::string, TarMember> files;
    for (const auto &[name, member] : members_) {
        const Member *at = &member;
        for (int links = 0; !at->is_file && !at->target.empty() && links < most_links; links++) {
            const auto target = members_.find(at->target);
            if (target == members_.end())
                break;
            at = &target->second;
        }
        if (at->is_file)
            files[name] = at->place;
    }
    return files;
}

} // namespace stowage
