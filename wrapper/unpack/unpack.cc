#include "unpack.hh"
#include "directory_reader.hh"
#include "layer_pipeline.hh"
#include "refusal.hh"
#include "tar_reader.hh"
#include "tree_writer.hh"
#include "unpack_file.hh"

namespace stowage {

namespace {

void unpack_layer(LayerPipeline &pipeline, TreeWriter &writer, Budget &budget) {
    TarReader tar([&]() -> TarReader::Bytes {
        const LayerPipeline::Bytes bytes = pipeline.next();
        budget.take_stream(bytes.size);
        return {bytes.data, bytes.size};
    });
    Entry entry;
    while (tar.next(entry))
        writer.apply(entry, tar);
    tar.drain();
}

void unpack_layers(const Options &options, Tree &tree, TreeWriter &writer, Budget &budget) {
    Progress progress(options.progress_fd);
    LayerPipeline pipeline(options, progress);
    for (const LayerSource &layer : options.layers) {
        tree.begin_layer(&layer == &options.layers.front());
        pipeline.begin_layer();
        try {
            unpack_layer(pipeline, writer, budget);
        } catch (const Refusal &refusal) {
            if (refusal.fault() != Fault::image)
                throw;
            pipeline.blame_blob_if_wrong();
            const std::string sentence = refusal.what();
            if (sentence.find(layer.name()) != std::string::npos)
                throw;
            throw Refusal(Fault::image, "layer " + layer.name() + ": " + sentence);
        }
    }
}

void copy_directory(int fd, const Tree &tree, TreeWriter &writer) {
    DirectoryReader directory(fd, tree.root().fd.get());
    Entry entry;
    while (directory.next(entry))
        writer.apply(entry, directory);
    directory.report();
}

} // namespace

void unpack_image(const Options &options, Descriptor root) {
    Budget budget(options.max_bytes, options.max_inodes, free_space_of(root.get()));
    Tree tree(std::move(root), budget, options.max_depth);
    TreeWriter writer(tree, budget, options.layers.empty() ? EntriesOf::whole : EntriesOf::layers);
    if (options.file)
        unpack_file(options, writer, budget);
    else if (options.directory_fd >= 0)
        copy_directory(options.directory_fd, tree, writer);
    else
        unpack_layers(options, tree, writer, budget);
    tree.finish();
    writer.report();
}

} // namespace stowage
