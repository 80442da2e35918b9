#include "entry_name.hh"
#include "refusal.hh"

#include <climits>
#include <cstdint>

namespace stowage {

namespace {

constexpr size_t longest_shown = 300;

// Length of the printable UTF-8 sequence at the start of `text`, 0 if there is none.
size_t printable_length(std::string_view text) {
    const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned first = byte(0);
    if (first < 0x80)
        return first >= 0x20 && first != 0x7f && first != '\'' && first != '\\';
    const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size() < length)
        return 0;
    uint32_t code = first & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((byte(i) & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (byte(i) & 0x3f);
    }
    const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
    const bool control =
        code < 0xa0 || (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
    const bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return overlong || control || surrogate || code > 0x10ffff ? 0 : length;
}

void append_escaped(std::string &out, unsigned char byte) {
    switch (byte) {
    case '\n':
        out += "\\n";
        return;
    case '\t':
        out += "\\t";
        return;
    case '\r':
        out += "\\r";
        return;
    case '\'':
    case '\\':
        out += '\\';
        out += static_cast<char>(byte);
        return;
    default:
        out += '\\';
        out += static_cast<char>('0' + (byte >> 6));
        out += static_cast<char>('0' + (byte >> 3 & 7));
        out += static_cast<char>('0' + (byte & 7));
    }
}

std::string escaped(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const size_t length = printable_length(text);
        if (length == 0) {
            append_escaped(out, static_cast<unsigned char>(text[0]));
            text.remove_prefix(1);
        } else {
            out += text.substr(0, length);
            text.remove_prefix(length);
        }
    }
    return out;
}

} // namespace

EntryName clean_name(std::string_view raw) {
    EntryName name;
    size_t start = 0;
    while (start < raw.size()) {
        size_t end = raw.find('/', start);
        if (end == std::string_view::npos)
            end = raw.size();
        const std::string_view component = raw.substr(start, end - start);
        start = end + 1;
        if (component.empty() || component == ".")
            continue;
        if (component == "..")
            refuse_image("the entry " + quoted(raw) + " climbs out with '..'; rebuild the image without it");
        if (component.size() > NAME_MAX)
            refuse_image("the entry " + quoted(raw) +
                         " has a name of more than 255 bytes, which Linux cannot store");
        if (!name.base.empty()) {
            if (!name.parent.empty())
                name.parent += '/';
            name.parent += name.base;
        }
        name.base = component;
    }
    return name;
}

std::string quoted(std::string_view name) {
    if (name.size() <= longest_shown)
        return '\'' + escaped(name) + '\'';
    return '\'' + escaped(name.substr(0, longest_shown / 2)) + "..." +
           escaped(name.substr(name.size() - longest_shown / 2)) + '\'';
}

} // namespace stowage
