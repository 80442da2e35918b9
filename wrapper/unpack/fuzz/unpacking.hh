// What fuzz targets of archives do with a reader: list all it says, and unpack it.
#pragma once

#include "../entry_source.hh"
#include "../tree_writer.hh"
#include "description.hh"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace stowage::fuzz {

// What unpack() and list() take the entries from; made anew for each.
using MakeSource = std::function<std::unique_ptr<EntrySource>()>;
// Called after the last entry.
using Drain = std::function<void(EntrySource &)>;

// All that the reader says, or nothing if it refuses its input. Aborts if it hands out more than `most_bytes`
// of content.
std::optional<std::string> list(const MakeSource &make, const Drain &drain, uint64_t most_bytes);

// Puts the entries into a new tree, as far as they go. Aborts if the tree then has more than a small budget.
void unpack(const MakeSource &make, const Drain &drain, EntriesOf entries);

// Aborts unless a reader of streams says the same however the stream is cut into pieces; then unpacks it.
template <typename Reader> void unpack_stream(const uint8_t *data, size_t size, EntriesOf entries) {
    const auto cut_into = [=](size_t piece) {
        return [=] {
            return std::make_unique<Reader>([=, left = size, at = data]() mutable -> EntrySource::Bytes {
                const size_t next = left < piece ? left : piece;
                const EntrySource::Bytes bytes = {at, next};
                at += next;
                left -= next;
                return bytes;
            });
        };
    };
    const auto drain = [](EntrySource &source) { static_cast<Reader &>(source).drain(); };
    constexpr size_t odd = 97;
    if (list(cut_into(size), drain, size) != list(cut_into(odd), drain, size))
        finding("the archive is read in another way when it arrives in pieces");
    unpack(cut_into(size), drain, entries);
}

} // namespace stowage::fuzz
