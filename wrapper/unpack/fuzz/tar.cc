// Fuzz target: one tar stream into a tree.
#include "../tar_reader.hh"
#include "../tree_writer.hh"
#include "outcome.hh"
#include "scratch.hh"

#include <algorithm>

namespace {

using namespace stowage;
using namespace stowage::fuzz;

constexpr uint64_t max_bytes = 1 << 16;
constexpr uint64_t max_inodes = 300;
constexpr size_t whole = SIZE_MAX;
// Headers then arrive in pieces.
constexpr size_t odd = 97;

// Hands the stream out in pieces of `piece` bytes.
class Stream {
  public:
    Stream(const uint8_t *data, size_t size, size_t piece) : data_(data), left_(size), piece_(piece) {
    }
    EntrySource::Bytes next() {
        const size_t size = std::min(left_, piece_);
        const EntrySource::Bytes bytes = {data_, size};
        data_ += size;
        left_ -= size;
        return bytes;
    }

  private:
    const uint8_t *data_;
    size_t left_;
    const size_t piece_;
};

// All that the reader says of the stream, or nothing if it refuses it.
std::optional<std::string> listing(const uint8_t *data, size_t size, size_t piece) {
    std::string text;
    const bool taken = is_taken([&] {
        Stream stream(data, size, piece);
        TarReader tar([&] { return stream.next(); });
        uint64_t read = 0;
        for (Entry entry; tar.next(entry);) {
            text += std::to_string(static_cast<int>(entry.type)) + entry.name + '\0' + entry.link_target +
                    '\0' + std::to_string(entry.mode) + ' ' + std::to_string(entry.size) + ' ' +
                    std::to_string(entry.mtime.tv_sec) + ' ' + std::to_string(entry.attributes.size()) + '\n';
            EntrySource::Bytes bytes;
            uint64_t offset;
            std::string content;
            while (tar.read(bytes, offset)) {
                read += bytes.size;
                content.append(reinterpret_cast<const char *>(bytes.data), bytes.size);
            }
            text += content + '\n';
        }
        tar.drain();
        if (read > size)
            finding("more has been read than there is");
    });
    return taken ? std::optional(text) : std::nullopt;
}

// What an image was taken with is what it may use.
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

extern "C" int LLVMFuzzerInitialize(int *, char ***) {
    Scratch::instance();
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const auto in_one = listing(data, size, whole);
    if (in_one != listing(data, size, odd))
        finding("the archive is read in another way when it arrives in pieces");
    Scratch &scratch = Scratch::instance();
    {
        Budget budget(max_bytes, max_inodes);
        Tree tree(scratch.make_tree(), budget);
        TreeWriter writer(tree, budget);
        const bool taken = is_taken([&] {
            tree.begin_layer(true);
            Stream stream(data, size, whole);
            TarReader tar([&] { return stream.next(); });
            for (Entry entry; tar.next(entry);)
                writer.apply(entry, tar);
            tar.drain();
            tree.finish();
        });
        if (taken)
            expect_within_budget(scratch.describe_tree());
    }
    scratch.remove_tree();
    return 0;
}
