// The entries of one layer, from libarchive (framing, numbers, sparse maps, attributes) and TarHeaders
// (names).
#pragma once

#include "entry_source.hh"
#include "tar_headers.hh"

#include <exception>
#include <functional>
#include <memory>

struct archive;
struct archive_entry;

namespace stowage {

class TarReader : public EntrySource {
  public:
    // Returns the next bytes of the stream, valid until the next call; size 0 at its end. May throw.
    using Source = std::function<Bytes()>;

    explicit TarReader(Source source);

    bool next(Entry &entry) override;
    bool read(Bytes &piece, uint64_t &offset) override;
    // Reads the stream to its end, past the end of the archive.
    void drain();

  private:
    static ssize_t pull(struct archive *archive, void *self, const void **data);
    [[noreturn]] void fail();
    EntryType type_of(const TarHeaders::Header &header) const;

    Source source_;
    TarHeaders headers_;
    std::exception_ptr source_error_;
    bool source_ended_ = false;
    struct archive_entry *entry_ = nullptr; // owned by archive_
    std::string name_;
    std::unique_ptr<struct archive, int (*)(struct archive *)> archive_;
};

} // namespace stowage
