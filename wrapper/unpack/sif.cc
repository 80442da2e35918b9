#include "sif.hh"
#include "entry_name.hh"
#include "little_endian.hh"
#include "refusal.hh"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

namespace stowage {

namespace {

constexpr size_t header_bytes = 128, descriptor_bytes = 585;
// Apptainer makes room for 48.
constexpr uint64_t most_descriptors = 4096;

enum DataType : uint32_t { partition_data = 0x4004, oci_index_data = 0x400a, oci_blob_data = 0x400b };
enum FileSystem : uint32_t { squashfs = 1, ext3, immutable_objects, raw_data, encrypted_squashfs };
constexpr uint32_t primary_system = 2;

struct Descriptor {
    uint32_t type;
    uint32_t id;
    uint64_t offset;
    uint64_t length;
    // Of partitions.
    uint32_t file_system;
    uint32_t part;
    std::string architecture;
};

struct Architecture {
    const char *sif;
    const char *oci;
};
constexpr Architecture architectures[] = {{"01", "386"},      {"02", "amd64"},  {"03", "arm"},
                                          {"04", "arm64"},    {"05", "ppc64"},  {"06", "ppc64le"},
                                          {"07", "mips"},     {"08", "mipsle"}, {"09", "mips64"},
                                          {"10", "mips64le"}, {"11", "s390x"},  {"12", "riscv64"}};

#if defined(__x86_64__)
constexpr char this_node[] = "amd64";
#elif defined(__aarch64__)
constexpr char this_node[] = "arm64";
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
constexpr char this_node[] = "ppc64le";
#elif defined(__s390x__)
constexpr char this_node[] = "s390x";
#elif defined(__riscv)
constexpr char this_node[] = "riscv64";
#else
#error "add this architecture"
#endif

[[noreturn]] void damaged(const std::string &what) {
    refuse_image("the SIF file is damaged: " + what + "; copy or build it again");
}

std::string architecture_of(const uint8_t *code) {
    const std::string text(reinterpret_cast<const char *>(code),
                           strnlen(reinterpret_cast<const char *>(code), 3));
    if (text == "00" || text.empty())
        return "";
    for (const Architecture &known : architectures)
        if (text == known.sif)
            return known.oci;
    refuse_image("the SIF file is for an architecture with the unknown number " + quoted(text) +
                 "; build it for this node's (" + this_node + ")");
}

Descriptor parse_descriptor(const uint8_t *raw) {
    Descriptor descriptor;
    descriptor.type = le32(raw);
    descriptor.id = le32(raw + 5);
    descriptor.offset = le64(raw + 17);
    descriptor.length = le64(raw + 25);
    descriptor.file_system = le32(raw + 201);
    descriptor.part = le32(raw + 205);
    if (descriptor.type == partition_data)
        descriptor.architecture = architecture_of(raw + 209);
    return descriptor;
}

std::vector<Descriptor> read_descriptors(const FileWindow &file, uint64_t table, uint64_t count) {
    std::vector<Descriptor> descriptors;
    for (uint64_t i = 0; i < count; i++) {
        std::array<uint8_t, descriptor_bytes> raw;
        file.read(table + i * descriptor_bytes, raw.data(), raw.size());
        const bool is_used = raw[4] != 0;
        if (is_used)
            descriptors.push_back(parse_descriptor(raw.data()));
    }
    return descriptors;
}

// Two readers that see one byte in two objects could see two images.
void check_ranges(const FileWindow &file, uint64_t data_start, std::vector<Descriptor> descriptors) {
    std::sort(descriptors.begin(), descriptors.end(),
              [](const Descriptor &a, const Descriptor &b) { return a.offset < b.offset; });
    uint64_t end = data_start;
    for (const Descriptor &descriptor : descriptors) {
        if (descriptor.length == 0)
            continue;
        const std::string name = "its data object " + std::to_string(descriptor.id);
        if (!file.contains(descriptor.offset, descriptor.length))
            damaged(name + " lies outside of it");
        if (descriptor.offset < end)
            damaged(name + " overlaps with another, or with the table of objects");
        end = descriptor.offset + descriptor.length;
    }
}

const Descriptor &find_primary(const std::vector<Descriptor> &descriptors) {
    const Descriptor *found = nullptr;
    bool has_oci = false;
    for (const Descriptor &descriptor : descriptors) {
        has_oci = has_oci || descriptor.type == oci_index_data || descriptor.type == oci_blob_data;
        if (descriptor.type != partition_data || descriptor.part != primary_system)
            continue;
        if (found)
            damaged("it has two primary system partitions");
        found = &descriptor;
    }
    if (!found && has_oci)
        refuse_image(
            "the SIF file holds an OCI image (OCI-SIF), which Stowage does not read; give it the image "
            "itself, or build the SIF without --oci");
    if (!found)
        refuse_image(
            "the SIF file has no primary system partition, and so no root file system; build it again");
    return *found;
}

void check_file_system(const Descriptor &partition) {
    const auto refuse = [](const std::string &what, const std::string &remedy) {
        refuse_image("the system partition of the SIF file is " + what +
                     ", but Stowage takes squashfs only; " + remedy);
    };
    switch (partition.file_system) {
    case squashfs:
        return;
    case ext3:
        return refuse("an ext3 file system", "build it again without --writable");
    case immutable_objects:
        return refuse("an archive", "build it again");
    case raw_data:
        return refuse("raw data", "build it again");
    case encrypted_squashfs:
        return refuse("encrypted squashfs", "build it again without --encrypt");
    default:
        return refuse("of the unknown type " + std::to_string(partition.file_system), "build it again");
    }
}

} // namespace

SifPartition find_sif_partition(const FileWindow &file) {
    std::array<uint8_t, header_bytes> header;
    file.read(0, header.data(), header.size());
    const std::string_view text(reinterpret_cast<const char *>(header.data()), header.size());
    if (text.substr(32, 9) != "SIF_MAGIC")
        damaged("it does not begin as one");
    if (text.substr(42, 2) != "01")
        refuse_image("the SIF file is of version " + quoted(text.substr(42, 2)) +
                     ", but Stowage reads version '01'; build it with the Apptainer of today");
    const uint64_t count = le64(&header[88]);
    const uint64_t table = le64(&header[96]);
    if (count == 0 || count > most_descriptors)
        damaged("its table has room for " + std::to_string(count) + " objects");
    if (table < header_bytes || !file.contains(table, count * descriptor_bytes))
        damaged("its table of objects lies outside of it");

    const std::vector<Descriptor> descriptors = read_descriptors(file, table, count);
    check_ranges(file, table + count * descriptor_bytes, descriptors);
    const Descriptor &primary = find_primary(descriptors);
    check_file_system(primary);
    return {file.part(primary.offset, primary.length), primary.architecture};
}

void check_architecture(const std::string &architecture) {
    if (!architecture.empty() && architecture != this_node)
        refuse_image("the SIF file is for " + architecture + ", but this node is " + this_node +
                     "; build it for this node's architecture, or run where it fits");
}

} // namespace stowage
