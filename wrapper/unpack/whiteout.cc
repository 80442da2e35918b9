#include "whiteout.hh"
#include "refusal.hh"

namespace stowage {

namespace {

constexpr std::string_view prefix = ".wh.";
constexpr std::string_view housekeeping_prefix = ".wh..wh.";
constexpr std::string_view opaque_name = ".wh..wh..opq";

bool starts_with(std::string_view text, std::string_view start) {
    return text.substr(0, start.size()) == start;
}

// The first component of `path` that starts with `.wh.`, or nothing.
std::string_view whiteout_in(std::string_view path) {
    while (!path.empty()) {
        const size_t end = std::min(path.find('/'), path.size());
        if (starts_with(path, prefix))
            return path.substr(0, end);
        path.remove_prefix(std::min(end + 1, path.size()));
    }
    return {};
}

} // namespace

Whiteout whiteout_of(const EntryName &name, std::string &target) {
    const std::string_view above = whiteout_in(name.parent);
    if (starts_with(above, housekeeping_prefix))
        return Whiteout::ignored;
    if (!above.empty())
        refuse_image("the entry " + quoted(name.full()) + " lies inside a whiteout; rebuild the image");
    if (!starts_with(name.base, prefix))
        return Whiteout::none;
    if (name.base == opaque_name)
        return Whiteout::opaque;
    if (starts_with(name.base, housekeeping_prefix))
        return Whiteout::ignored;
    const std::string hidden = name.base.substr(prefix.size());
    if (hidden.empty() || hidden == "." || hidden == "..")
        refuse_image("the whiteout " + quoted(name.full()) +
                     " would remove a directory from inside; rebuild the image");
    target = hidden;
    return Whiteout::name;
}

} // namespace stowage
