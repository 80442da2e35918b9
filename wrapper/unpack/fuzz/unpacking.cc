#include "unpacking.hh"
#include "memory.hh"
#include "outcome.hh"
#include "scratch.hh"

namespace stowage::fuzz {

namespace {

constexpr uint64_t max_bytes = 1 << 16;
constexpr uint64_t max_inodes = 300;
constexpr unsigned max_depth = 256;

std::string describe(const Entry &entry) {
    std::string text =
        std::to_string(static_cast<int>(entry.type)) + entry.name + '\0' + entry.link_target + '\0';
    for (const uint64_t number :
         {uint64_t{entry.mode}, entry.size, static_cast<uint64_t>(entry.mtime.tv_sec)})
        text += std::to_string(number) + ' ';
    for (const Attribute &attribute : entry.attributes)
        text += attribute.name + '=' + attribute.value + ' ';
    return text + '\n';
}

void expect_within_budget(const Description &tree) {
    std::map<std::string, uint64_t> sizes;
    for (const auto &[path, item] : tree)
        sizes[item.first] = item.type == 'f' ? item.text.size() : 0;
    uint64_t bytes = 0;
    for (const auto &[path, size] : sizes)
        bytes += size;
    if (bytes > max_bytes || tree.size() - 1 > max_inodes)
        finding("the tree has " + std::to_string(tree.size()) + " names and " + std::to_string(bytes) +
                " bytes, more than it may");
}

} // namespace

std::optional<std::string> list(const MakeSource &make, const Drain &drain, uint64_t most_bytes) {
    std::string text;
    uint64_t read = 0;
    bound_memory();
    const bool taken = is_taken([&] {
        const auto source = make();
        for (Entry entry; source->next(entry);) {
            text += describe(entry);
            if (entry.type != EntryType::file)
                continue;
            EntrySource::Bytes piece;
            uint64_t offset;
            while (source->read(piece, offset)) {
                read += piece.size;
                if (read > most_bytes)
                    finding("more content has been read than there is");
                text.append(reinterpret_cast<const char *>(piece.data), piece.size);
            }
        }
        drain(*source);
    });
    return taken ? std::optional(text) : std::nullopt;
}

void unpack(const MakeSource &make, const Drain &drain, EntriesOf entries) {
    Scratch &scratch = Scratch::instance();
    {
        Budget budget(max_bytes, max_inodes, FreeSpace{});
        Tree tree(scratch.make_tree(), budget, max_depth);
        TreeWriter writer(tree, budget, entries);
        const bool taken = is_taken([&] {
            tree.begin_layer(true);
            const auto source = make();
            for (Entry entry; source->next(entry);)
                writer.apply(entry, *source);
            drain(*source);
            tree.finish();
        });
        if (taken)
            expect_within_budget(scratch.describe_tree());
    }
    scratch.remove_tree();
}

} // namespace stowage::fuzz
