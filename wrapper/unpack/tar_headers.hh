// What a tar stream's headers say about names, read from the same bytes that libarchive reads.
//
// libarchive joins PAX, GNU and ustar names silently, cuts PAX names at NUL and converts them to the locale.
// Images need the bytes as they are, and must be refused where two readers could see two names. This
// follows the framing of the stream and hands out one Header for each entry libarchive will report;
// comparing offsets shows that both have read it the same way.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace stowage {

class TarHeaders {
  public:
    struct Header {
        uint64_t offset; // in the stream, of the first block that belongs to the entry
        char type;       // typeflag of the entry, '0' for the many ways to say regular file
        std::string name;
        std::string link_target;
        uint64_t body_offset; // in the stream
        uint64_t body_size;   // without padding; for sparse files not the file's
    };

    // Goes through the next bytes of the stream. Throws Refusal for damaged or ambiguous headers.
    void feed(const uint8_t *data, size_t size);
    // The oldest header not yet taken; nothing if none has been completed.
    std::optional<Header> take();
    // For a caller that does not need contents: goes over the rest of the present body, and returns how many
    // bytes must not be fed.
    uint64_t skip_body_bytes();

  private:
    enum class State { header, extension, sparse_map, body, ended };
    using Records = std::map<std::string, std::string>;

    void on_block(const uint8_t *block);
    void on_header(const uint8_t *block);
    void on_extension_end();
    void on_entry(const uint8_t *block);
    void on_body(const uint8_t *data, size_t size);
    void skip_body(uint64_t size);
    const std::string *pax(const char *key) const;
    std::string entry_name(const uint8_t *block) const;
    std::string link_target(const uint8_t *block) const;
    uint64_t body_size(const uint8_t *block, char type) const;
    void parse_pax(std::string_view text);

    State state_ = State::header;
    uint64_t offset_ = 0;
    std::string block_; // a block that arrives in pieces

    // The group of headers being read: extended headers, then the entry's own.
    std::optional<uint64_t> group_offset_;
    std::optional<Records> pax_;
    std::optional<std::string> gnu_name_;
    std::optional<std::string> gnu_link_;

    char extension_type_ = 0;
    uint64_t extension_size_ = 0;
    std::string extension_;

    uint64_t sparse_map_bytes_ = 0;
    uint64_t body_left_ = 0;      // padding included
    bool counts_extents_ = false; // the body starts with the number of extents of a PAX 1.0 sparse file
    std::string extent_count_;

    std::deque<Header> complete_;
};

} // namespace stowage
