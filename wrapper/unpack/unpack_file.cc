#include "unpack_file.hh"
#include "archive_guess.hh"
#include "cpio_reader.hh"
#include "entry_name.hh"
#include "file_inflater.hh"
#include "file_stream.hh"
#include "file_window.hh"
#include "refusal.hh"
#include "root_file.hh"
#include "tar_reader.hh"

#include <array>

namespace stowage {

namespace {

template <typename Reader> void apply_all(Reader &reader, TreeWriter &writer, ArchiveGuess &guess) {
    Entry entry;
    while (reader.next(entry)) {
        guess.see(clean_name(entry.name).full(), entry.type == EntryType::file);
        writer.apply(entry, reader);
    }
    reader.drain();
}

void unpack_stream(FileStream &stream, TreeWriter &writer, Budget &budget) {
    const auto pull = [&]() -> EntrySource::Bytes {
        const BlockQueue::Block *const block = stream.next();
        if (!block)
            return {nullptr, 0};
        budget.take_stream(block->size);
        return {block->bytes.data(), block->size};
    };
    EntrySource::Bytes first = pull();
    const auto kind = stream_kind(first.data, first.size);
    const auto pull_from_first = [&]() { return first.data ? std::exchange(first, {nullptr, 0}) : pull(); };
    ArchiveGuess guess;
    if (kind == RootFileKind::cpio) {
        CpioReader cpio(pull_from_first);
        apply_all(cpio, writer, guess);
    } else if (kind == RootFileKind::tar) {
        TarReader tar(pull_from_first);
        apply_all(tar, writer, guess);
    } else {
        // bzip2 notices damage only at the end of a block of 900 kB.
        while (pull().size > 0) {
        }
        refuse_unknown_file();
    }
    if (guess.is_image_archive())
        refuse_compressed_archive();
}

void unpack_content(const Options &options, FileStream &stream, std::optional<RootFileKind> kind,
                    TreeWriter &writer, Budget &budget) {
    if (!kind)
        return unpack_stream(stream, writer, budget);
    refuse_unknown_file();
    (void)options;
}

} // namespace

void unpack_file(const Options &options, TreeWriter &writer, Budget &budget) {
    const FileSource &source = *options.file;
    const ChangeWatch watch(source.fd);
    if (watch.size_bytes() != source.size_bytes)
        refuse_changed_file();
    std::array<uint8_t, root_file_start_bytes> start;
    const size_t size = read_file_at(source.fd, start.data(), start.size(), 0);
    const auto kind = root_file_kind(start.data(), size);

    Progress progress(options.progress_fd);
    FileStream stream(source, kind ? FileStream::Purpose::hashing : FileStream::Purpose::inflating, progress);
    try {
        unpack_content(options, stream, kind, writer, budget);
    } catch (const Refusal &refusal) {
        if (refusal.fault() != Fault::image)
            throw;
        // A file that is not what it was explains damage, not the other way round.
        stream.verify();
        watch.check();
        throw;
    }
    stream.verify();
    watch.check();
}

} // namespace stowage
