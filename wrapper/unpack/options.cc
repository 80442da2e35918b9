#include "options.hh"
#include "digest.hh"
#include "refusal.hh"

#include <climits>
#include <cstring>
#include <sstream>

namespace stowage {

namespace {

const char usage[] = "usage: stowage-unpack --root-fd N --max-bytes B --max-inodes I [--max-depth D] "
                     "[--progress-fd N] [--growing] --layer FD[@OFFSET]:SIZE:DIGEST:DIFF_ID [--layer ...]";

// Every level costs a descriptor while a tree is finished, and processes commonly have 1024.
constexpr uint64_t deepest = 900;

[[noreturn]] void misuse(const std::string &what) {
    throw Refusal(Fault::usage, what + "; " + usage);
}

uint64_t parse_number(const std::string &option, const std::string &text, uint64_t largest) {
    uint64_t value = 0;
    for (const char digit : text) {
        if (digit < '0' || digit > '9' || value > (largest - static_cast<uint64_t>(digit - '0')) / 10)
            misuse(option + " wants a number up to " + std::to_string(largest) + ", not '" + text + "'");
        value = value * 10 + static_cast<uint64_t>(digit - '0');
    }
    if (text.empty())
        misuse(option + " wants a number");
    return value;
}

LayerSource parse_layer(const std::string &text) {
    std::vector<std::string> parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, ':');)
        parts.push_back(part);
    const bool has_digest = parts.size() < 3 || parts[2] != "-";
    if (parts.size() != (has_digest ? 6 : 5))
        misuse("--layer wants FD[@OFFSET]:SIZE:DIGEST:DIFF_ID, not '" + text + "'");
    LayerSource layer;
    const size_t at = parts[0].find('@');
    layer.fd = static_cast<int>(parse_number("--layer", parts[0].substr(0, at), INT_MAX));
    if (at != std::string::npos)
        layer.offset = parse_number("--layer", parts[0].substr(at + 1), INT64_MAX);
    layer.size_bytes = parse_number("--layer", parts[1], INT64_MAX - layer.offset.value_or(0));
    if (has_digest)
        layer.digest = parts[2] + ':' + parts[3];
    layer.diff_id = parts[parts.size() - 2] + ':' + parts.back();
    if ((has_digest && !is_supported_digest(layer.digest)) || !is_supported_digest(layer.diff_id))
        misuse("--layer wants sha256 or sha512 digests, not '" + text + "'");
    return layer;
}

} // namespace

Options parse_options(int argc, char **argv) {
    Options options;
    for (int i = 1; i < argc; i++) {
        const std::string name = argv[i];
        if (name == "--growing") {
            options.is_growing = true;
            continue;
        }
        if (i + 1 == argc)
            misuse(name + " wants a value");
        const std::string value = argv[++i];
        if (name == "--root-fd")
            options.root_fd = static_cast<int>(parse_number(name, value, INT_MAX));
        else if (name == "--progress-fd")
            options.progress_fd = static_cast<int>(parse_number(name, value, INT_MAX));
        else if (name == "--max-bytes")
            options.max_bytes = parse_number(name, value, INT64_MAX);
        else if (name == "--max-inodes")
            options.max_inodes = parse_number(name, value, INT64_MAX);
        else if (name == "--max-depth")
            options.max_depth = static_cast<unsigned>(parse_number(name, value, deepest));
        else if (name == "--layer")
            options.layers.push_back(parse_layer(value));
        else
            misuse("there is no option " + name);
    }
    if (options.root_fd < 0 || options.max_bytes == 0 || options.max_inodes == 0 || options.layers.empty())
        misuse("--root-fd, --max-bytes, --max-inodes and at least one --layer are required");
    return options;
}

} // namespace stowage
