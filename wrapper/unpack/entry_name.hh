// Names of tar entries: cleaning them, and showing them to people. Pure.
#pragma once

#include <string>
#include <string_view>

namespace stowage {

// A cleaned name: no leading slash, no empty or `.` component, no `..`.
struct EntryName {
    std::string parent; // "usr/lib", empty for the root directory
    std::string base;   // "libc.so", empty when the entry is the root directory itself

    bool is_root() const {
        return base.empty();
    }
    std::string full() const {
        return parent.empty() ? base : parent + '/' + base;
    }
};

// Throws Refusal naming the entry for a `..` component and for a component over 255 bytes.
EntryName clean_name(std::string_view raw);

// `name` in single quotes, safe for a terminal: control characters, quotes, backslashes and bytes that are
// not UTF-8 become escapes, and long names are shortened in the middle.
std::string quoted(std::string_view name);

} // namespace stowage
