#include "identify.hh"
#include "digest.hh"
#include "entry_name.hh"
#include "file_inflater.hh"
#include "progress.hh"
#include "refusal.hh"
#include "root_file.hh"
#include "sif.hh"
#include "squashfs_super.hh"
#include "tar_members.hh"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include <unistd.h>

namespace stowage {

namespace {

constexpr size_t chunk_bytes = 256 * 1024;

// The file from its start, inflated where it is compressed.
class InflatedFile {
  public:
    explicit InflatedFile(int fd) : fd_(fd), chunk_(chunk_bytes) {
    }
    size_t read(uint8_t *out, size_t size) {
        size_t done = 0;
        while (done < size) {
            const auto step = run(out + done, size - done);
            done += step;
            if (step == 0 && in_size_ == 0 && ended_)
                break;
        }
        return done;
    }
    void skip(uint64_t size) {
        uint8_t dropped[4096];
        while (size > 0) {
            const size_t got = read(dropped, std::min<uint64_t>(size, sizeof dropped));
            if (got == 0)
                return;
            size -= got;
        }
    }

  private:
    size_t run(uint8_t *out, size_t size) {
        if (in_size_ == 0 && !ended_) {
            in_size_ = read_file_at(fd_, chunk_.data(), chunk_.size(), offset_);
            in_ = chunk_.data();
            offset_ += in_size_;
            ended_ = in_size_ == 0;
            if (!inflater_)
                inflater_ = make_file_inflater(in_, in_size_);
        }
        const auto step = inflater_->run(in_, in_size_, out, size);
        in_ += step.consumed;
        in_size_ -= step.consumed;
        if (step.consumed == 0 && step.produced == 0 && in_size_ > 0)
            refuse_image("the file cannot be unpacked: its compressed data is damaged; copy it again");
        return step.produced;
    }

    int fd_;
    std::vector<uint8_t> chunk_;
    uint64_t offset_ = 0; // in the file
    const uint8_t *in_ = nullptr;
    size_t in_size_ = 0;
    bool ended_ = false;
    std::unique_ptr<Inflater> inflater_;
};

class Records {
  public:
    void add(const std::string &key, const std::string &value) {
        text_ += key + '=' + value + '\0';
    }
    void write() const {
        for (size_t done = 0; done < text_.size();) {
            const ssize_t written = ::write(STDOUT_FILENO, text_.data() + done, text_.size() - done);
            if (written < 0 && errno != EINTR)
                fail_with(errno, "cannot say what the file is");
            done += written > 0 ? static_cast<size_t>(written) : 0;
        }
    }

  private:
    std::string text_;
};

std::string digest_of(int fd, uint64_t size, Progress &progress) {
    std::vector<uint8_t> chunk(chunk_bytes);
    DigestCheck digest("sha256:");
    progress.report(0, 0, size);
    for (uint64_t done = 0; done < size;) {
        const size_t wanted = std::min<uint64_t>(chunk.size(), size - done);
        if (read_file_at(fd, chunk.data(), wanted, done) != wanted)
            refuse_changed_file();
        digest.update(chunk.data(), wanted);
        done += wanted;
        progress.report(0, done, size);
    }
    return digest.finish();
}

TarMembers members_of_plain(int fd) {
    uint64_t offset = 0;
    TarMembers members;
    members.scan(
        [&](uint8_t *block) {
            const size_t got = read_file_at(fd, block, root_file_start_bytes, offset);
            offset += got;
            return got == root_file_start_bytes;
        },
        [&](uint64_t size) { offset += size; });
    return members;
}

bool is_image_archive_inside(int fd) {
    InflatedFile inflated(fd);
    TarMembers members;
    members.scan([&](uint8_t *block) { return inflated.read(block, 512) == 512; },
                 [&](uint64_t size) { inflated.skip(size); });
    return members.is_image_archive();
}

void add_members(const TarMembers &members, uint64_t file_size, Records &records) {
    records.add("kind", "archive");
    for (const auto &[name, member] : members.files()) {
        if (member.offset > file_size || member.size > file_size - member.offset)
            refuse_image("the archive is truncated: it ends within its member " + quoted(name) +
                         "; copy it again");
        records.add("member", std::to_string(member.offset) + ' ' + std::to_string(member.size) + ' ' + name);
    }
}

void add_squashfs(const FileWindow &image, Records &records) {
    read_squashfs_super(image);
    records.add("offset", std::to_string(image.offset()));
    records.add("length", std::to_string(image.length()));
}

// False for an archive of an image, which has no digest of its own.
bool add_stream(int fd, uint64_t file_size, Records &records) {
    std::array<uint8_t, root_file_start_bytes> start;
    const size_t stored = read_file_at(fd, start.data(), start.size(), 0);
    const bool is_compressed = !compression_of(start.data(), stored).empty();
    const size_t size = InflatedFile(fd).read(start.data(), start.size());
    const auto kind = stream_kind(start.data(), size);
    if (!kind)
        refuse_unknown_file();
    if (kind == RootFileKind::cpio) {
        records.add("kind", "cpio");
        return true;
    }
    if (is_compressed && is_image_archive_inside(fd))
        refuse_compressed_archive();
    if (!is_compressed) {
        const TarMembers members = members_of_plain(fd);
        if (members.is_image_archive()) {
            add_members(members, file_size, records);
            return false;
        }
    }
    records.add("kind", "tar");
    return true;
}

} // namespace

void identify_file(const Options &options) {
    const int fd = options.identify_fd;
    const ChangeWatch watch(fd);
    const FileWindow file(fd, 0, watch.size_bytes());
    std::array<uint8_t, root_file_start_bytes> start;
    const auto kind = root_file_kind(start.data(), file.read_some(0, start.data(), start.size()));

    Records head, tail;
    bool has_digest = true;
    if (kind == RootFileKind::squashfs) {
        head.add("kind", "squashfs");
        add_squashfs(file, tail);
    } else if (kind == RootFileKind::sif) {
        const SifPartition partition = find_sif_partition(file);
        head.add("kind", "sif");
        add_squashfs(partition.image, tail);
        if (!partition.architecture.empty())
            tail.add("architecture", partition.architecture);
    } else {
        has_digest = add_stream(fd, file.length(), head);
    }
    if (has_digest) {
        Progress progress(options.progress_fd);
        head.add("digest", digest_of(fd, file.length(), progress));
        head.add("size", std::to_string(file.length()));
    }
    watch.check();
    head.write();
    tail.write();
}

} // namespace stowage
