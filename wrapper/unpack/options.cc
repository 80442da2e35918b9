#include "options.hh"
#include "digest.hh"
#include "refusal.hh"

#include <climits>
#include <cstring>
#include <sstream>

namespace stowage {

namespace {

const char usage[] =
    "usage: stowage-unpack --root-fd N --max-bytes B --max-inodes I [--max-seconds S] [--max-depth D] "
    "[--progress-fd N] ([--growing] --layer FD[@OFFSET]:SIZE:DIGEST:DIFF_ID [--layer ...] | "
    "--file FD:SIZE:DIGEST [--keep-squashfs] | --directory FD), "
    "or stowage-unpack --identify FD [--max-seconds S] [--progress-fd N]";

// Every level costs a descriptor while a tree is finished, and processes commonly have 1024.
constexpr uint64_t deepest = 900;

[[noreturn]] void misuse(const std::string &what) {
    throw Refusal(Fault::usage, what + "; " + usage);
}

uint64_t parse_number(const std::string &option, const std::string &text, uint64_t largest) {
    uint64_t value = 0;
    for (const char character : text) {
        const uint64_t digit = static_cast<uint64_t>(character - '0');
        if (character < '0' || character > '9' || digit > largest || value > (largest - digit) / 10)
            misuse(option + " wants a number up to " + std::to_string(largest) + ", not '" + text + "'");
        value = value * 10 + digit;
    }
    if (text.empty())
        misuse(option + " wants a number");
    return value;
}

int parse_fd(const std::string &option, const std::string &text) {
    return static_cast<int>(parse_number(option, text, INT_MAX));
}

std::vector<std::string> split_at_colons(const std::string &text) {
    std::vector<std::string> parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, ':');)
        parts.push_back(part);
    return parts;
}

LayerSource parse_layer(const std::string &text) {
    const std::vector<std::string> parts = split_at_colons(text);
    const bool has_digest = parts.size() < 3 || parts[2] != "-";
    if (parts.size() != (has_digest ? 6 : 5))
        misuse("--layer wants FD[@OFFSET]:SIZE:DIGEST:DIFF_ID, not '" + text + "'");
    LayerSource layer;
    const size_t at = parts[0].find('@');
    layer.fd = parse_fd("--layer", parts[0].substr(0, at));
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

FileSource parse_file(const std::string &text) {
    const std::vector<std::string> parts = split_at_colons(text);
    if (parts.size() != 4)
        misuse("--file wants FD:SIZE:DIGEST, not '" + text + "'");
    FileSource file{parse_fd("--file", parts[0]), parse_number("--file", parts[1], INT64_MAX),
                    parts[2] + ':' + parts[3]};
    if (!is_supported_digest(file.digest))
        misuse("--file wants a sha256 or sha512 digest, not '" + text + "'");
    return file;
}

void check_identifying(const Options &options) {
    if (options.root_fd >= 0 || !options.layers.empty() || options.file || options.directory_fd >= 0 ||
        options.keep_squashfs)
        misuse("--identify unpacks nothing, so that --root-fd and sources do not go with it");
}

void check_unpacking(const Options &options) {
    const int sources = !options.layers.empty() + options.file.has_value() + (options.directory_fd >= 0);
    if (options.root_fd < 0 || options.max_bytes == 0 || options.max_inodes == 0 || sources == 0)
        misuse("--root-fd, --max-bytes, --max-inodes and at least one --layer, --file or --directory are "
               "required");
    if (sources > 1)
        misuse("only one of --layer, --file and --directory can be given");
    if (options.keep_squashfs && !options.file)
        misuse("--keep-squashfs goes with --file only");
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
        if (name == "--keep-squashfs") {
            options.keep_squashfs = true;
            continue;
        }
        if (i + 1 == argc)
            misuse(name + " wants a value");
        const std::string value = argv[++i];
        if (name == "--root-fd")
            options.root_fd = parse_fd(name, value);
        else if (name == "--progress-fd")
            options.progress_fd = parse_fd(name, value);
        else if (name == "--max-bytes")
            options.max_bytes = parse_number(name, value, INT64_MAX);
        else if (name == "--max-inodes")
            options.max_inodes = parse_number(name, value, INT64_MAX);
        else if (name == "--max-depth")
            options.max_depth = static_cast<unsigned>(parse_number(name, value, deepest));
        else if (name == "--max-seconds")
            options.max_seconds = parse_number(name, value, INT32_MAX);
        else if (name == "--layer")
            options.layers.push_back(parse_layer(value));
        else if (name == "--file")
            options.file = parse_file(value);
        else if (name == "--directory")
            options.directory_fd = parse_fd(name, value);
        else if (name == "--identify")
            options.identify_fd = parse_fd(name, value);
        else
            misuse("there is no option " + name);
    }
    if (options.identify_fd >= 0)
        check_identifying(options);
    else
        check_unpacking(options);
    return options;
}

} // namespace stowage
