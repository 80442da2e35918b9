#include "unpack.hh"
#include "layer_reader.hh"
#include "refusal.hh"
#include "tar_reader.hh"
#include "tree_writer.hh"

namespace stowage {

namespace {

void unpack_layer(LayerReader &layer, TreeWriter &writer, Budget &budget) {
    TarReader tar([&]() -> TarReader::Bytes {
        const BlockQueue::Block *const block = layer.next();
        if (!block)
            return {nullptr, 0};
        budget.take_stream(block->size);
        return {block->bytes.data(), block->size};
    });
    Entry entry;
    while (tar.next(entry))
        writer.apply(entry, tar);
    tar.drain();
}

} // namespace

void unpack_image(const Options &options, Descriptor root) {
    Budget budget(options.max_bytes, options.max_inodes);
    Tree tree(std::move(root), budget);
    TreeWriter writer(tree, budget);
    Progress progress(options.progress_fd);
    for (size_t i = 0; i < options.layers.size(); i++) {
        const LayerSource &source = options.layers[i];
        tree.begin_layer(i == 0);
        LayerReader layer(source, i, progress);
        try {
            unpack_layer(layer, writer, budget);
        } catch (const Refusal &refusal) {
            if (refusal.fault() != Fault::image)
                throw;
            layer.blame_blob_if_wrong();
            const std::string sentence = refusal.what();
            if (sentence.find(source.digest) != std::string::npos)
                throw;
            throw Refusal(Fault::image, "layer " + source.digest + ": " + sentence);
        }
    }
    tree.finish();
    writer.report();
}

} // namespace stowage
