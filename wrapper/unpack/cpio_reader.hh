// The entries of a cpio archive: odc, newc, crc and both binary forms. Decision 0006 says why libarchive does
// not read these.
#pragma once

#include "byte_source.hh"
#include "cpio_header.hh"
#include "cpio_links.hh"
#include "entry_source.hh"

#include <deque>

namespace stowage {

class CpioReader : public EntrySource {
  public:
    explicit CpioReader(ByteSource::Pull pull) : source_(std::move(pull)) {
    }

    bool next(Entry &entry) override;
    bool read(Bytes &piece, uint64_t &offset) override;
    // Reads the stream to its end, past the end of the archive.
    void drain();

  private:
    bool next_in_archive(Entry &entry);
    bool read_header(CpioHeader &header);
    std::string read_name(const CpioHeader &header);
    std::string read_link_target(const CpioHeader &header);
    bool join_links(const CpioHeader &header, Entry &entry);
    void finish_body();
    void read_exactly(void *buffer, size_t size);
    void skip_padding(uint64_t size, CpioFormat format);
    [[noreturn]] void ends_early();
    [[noreturn]] void damaged(const std::string &what);

    ByteSource source_;
    CpioLinks links_;
    std::deque<Entry> ready_; // to be handed out before the archive is read on
    bool ended_ = false;
    std::string name_; // of the present entry

    // The content of the present entry.
    CpioHeader header_ = {};
    uint64_t body_left_ = 0;
    bool is_checked_ = false;
    uint32_t sum_ = 0;
};

} // namespace stowage
