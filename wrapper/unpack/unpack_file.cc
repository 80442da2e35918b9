#include "unpack_file.hh"
#include "archive_guess.hh"
#include "cpio_reader.hh"
#include "entry_name.hh"
#include "file_inflater.hh"
#include "file_stream.hh"
#include "file_window.hh"
#include "refusal.hh"
#include "root_file.hh"
#include "sif.hh"
#include "squashfs_reader.hh"
#include "stored_image.hh"
#include "tar_reader.hh"

#include <array>

namespace stowage {

namespace {

void apply_all(EntrySource &source, TreeWriter &writer) {
    Entry entry;
    while (source.next(entry))
        writer.apply(entry, source);
}

template <typename Reader> void apply_stream(Reader &reader, TreeWriter &writer, ArchiveGuess &guess) {
    Entry entry;
    while (reader.next(entry)) {
        guess.see(clean_name(entry.name).full(), entry.type == EntryType::file);
        writer.apply(entry, reader);
    }
    reader.drain();
}

void unpack_stream(FileStream &stream, TreeWriter &writer, Budget &budget) {
    const auto pull = [&]() -> EntrySource::Bytes {
        const EntrySource::Bytes bytes = stream.next();
        budget.take_stream(bytes.size);
        return bytes;
    };
    EntrySource::Bytes first = pull();
    const auto kind = stream_kind(first.data, first.size);
    const auto pull_from_first = [&]() { return first.data ? std::exchange(first, {nullptr, 0}) : pull(); };
    ArchiveGuess guess;
    if (kind == RootFileKind::cpio) {
        CpioReader cpio(pull_from_first);
        apply_stream(cpio, writer, guess);
    } else if (kind == RootFileKind::tar) {
        TarReader tar(pull_from_first);
        apply_stream(tar, writer, guess);
    } else {
        // bzip2 notices damage only at the end of a block of 900 kB.
        while (pull().size > 0) {
        }
        refuse_unknown_file();
    }
    if (guess.is_image_archive())
        refuse_compressed_archive();
}

FileWindow squashfs_in(const FileWindow &file, RootFileKind kind) {
    if (kind == RootFileKind::squashfs)
        return file;
    const SifPartition partition = find_sif_partition(file);
    check_architecture(partition.architecture);
    return partition.image;
}

void unpack_squashfs(const FileWindow &image, bool keep, TreeWriter &writer) {
    if (keep) {
        StoredImage stored(image);
        apply_all(stored, writer);
    } else {
        SquashfsReader squashfs(image);
        apply_all(squashfs, writer);
    }
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
        if (kind)
            unpack_squashfs(squashfs_in(FileWindow(source.fd, 0, source.size_bytes), *kind),
                            options.keep_squashfs, writer);
        else if (options.keep_squashfs)
            refuse_image("the file is no squashfs image and no SIF file, so that it cannot be mounted");
        else
            unpack_stream(stream, writer, budget);
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
