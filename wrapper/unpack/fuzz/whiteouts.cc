// Fuzz target: layers of entries drawn from few names, so that they meet, against a model of what they leave.
#include "../tree_writer.hh"
#include "outcome.hh"
#include "scratch.hh"
#include "tree_model.hh"

#include <fuzzer/FuzzedDataProvider.h>

namespace {

using namespace stowage;
using namespace stowage::fuzz;

constexpr unsigned most_entries = 100;
constexpr uint64_t max_bytes = 1 << 20;
constexpr uint64_t max_inodes = 10000;
constexpr unsigned max_depth = 256;

constexpr const char *components[] = {"a", "b", "c", "d", "a", "b", ".", "", "..", ".wh."};
constexpr const char *targets[] = {"a",   "b",      "c", "/a", "/b/c", "..",        "../a", "../../b",
                                   "a/b", "b/../c", ".", "/",  "./a/", "c/../../a", "",     "a/b/c/d"};
constexpr const char *bases[] = {".wh..wh..opq", ".wh..wh..opq", ".wh..wh.plnk", ".wh..", ".wh...", ".wh."};

// An entry's content in one piece.
class Content : public EntrySource {
  public:
    explicit Content(const std::string &content) : content_(content) {
    }
    bool next(Entry &) override {
        return false;
    }
    bool read(Bytes &piece, uint64_t &offset) override {
        if (is_read_ || content_.empty())
            return false;
        is_read_ = true;
        piece = {reinterpret_cast<const uint8_t *>(content_.data()), content_.size()};
        offset = 0;
        return true;
    }

  private:
    const std::string &content_;
    bool is_read_ = false;
};

std::string draw_name(FuzzedDataProvider &input) {
    std::string name;
    const unsigned depth = input.ConsumeIntegralInRange(0u, 3u);
    for (unsigned i = 0; i < depth; i++)
        name += std::string(input.PickValueInArray(components)) + '/';
    const unsigned kind = input.ConsumeIntegralInRange(0u, 7u);
    if (kind == 0)
        return name + input.PickValueInArray(bases);
    if (kind <= 2)
        name += ".wh.";
    // A slash at the end would only be cleaned away.
    return name + input.PickValueInArray(components);
}

Entry draw_entry(FuzzedDataProvider &input, int64_t index) {
    constexpr EntryType types[] = {EntryType::directory, EntryType::file,      EntryType::file,
                                   EntryType::symlink,   EntryType::hard_link, EntryType::special};
    constexpr mode_t modes[] = {0755, 0644, 0, 0500, 06777, 01777};
    Entry entry;
    entry.type = input.PickValueInArray(types);
    entry.name = draw_name(input);
    entry.mode = input.PickValueInArray(modes);
    entry.mtime = {index, 0};
    entry.size = 0;
    if (entry.type == EntryType::symlink)
        entry.link_target = input.PickValueInArray(targets);
    if (entry.type == EntryType::hard_link)
        entry.link_target = draw_name(input);
    return entry;
}

} // namespace

extern "C" int LLVMFuzzerInitialize(int *, char ***) {
    Scratch::instance();
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Scratch &scratch = Scratch::instance();
    FuzzedDataProvider input(data, size);
    {
        Budget budget(max_bytes, max_inodes, FreeSpace{});
        Tree tree(scratch.make_tree(), budget, max_depth);
        TreeWriter writer(tree, budget, EntriesOf::layers);
        TreeModel model;
        auto begin_layer = [&, is_lowest = true]() mutable {
            tree.begin_layer(is_lowest);
            model.begin_layer();
            is_lowest = false;
        };
        begin_layer();
        bool is_complete = true;
        for (unsigned i = 0; i < most_entries && input.remaining_bytes() > 0 && is_complete; i++) {
            if (input.ConsumeIntegralInRange(0u, 7u) == 0)
                begin_layer();
            Entry entry = draw_entry(input, 1'000'000'000 + i);
            const std::string content =
                entry.type == EntryType::file ? "content " + std::to_string(i) : std::string();
            entry.size = content.size();
            Content source(content);
            const bool taken = is_taken([&] { writer.apply(entry, source); });
            is_complete = model.apply(entry, content);
            if (taken != is_complete)
                finding("the entry '" + entry.name + "' to '" + entry.link_target + "' of type " +
                        std::to_string(static_cast<int>(entry.type)) + " is " +
                        (taken ? "taken" : "refused") + ", unlike expected");
        }
        if (is_complete) {
            tree.finish();
            expect_same(scratch.describe_tree(), model.describe());
        }
    }
    scratch.remove_tree();
    return 0;
}
