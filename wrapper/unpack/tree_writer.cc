#include "tree_writer.hh"
#include "refusal.hh"
#include "whiteout.hh"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace stowage {

namespace {

// Without setuid and setgid: everything belongs to the job's user, who must not lend themselves out.
constexpr mode_t kept_mode_bits = 01777;

bool is_kept_attribute(const Attribute &attribute) {
    return attribute.name.rfind("user.", 0) == 0 && attribute.name.rfind("user.overlay.", 0) != 0;
}

bool has_kept_attribute(const Entry &entry) {
    return std::any_of(entry.attributes.begin(), entry.attributes.end(), is_kept_attribute);
}

void write_at(int fd, const uint8_t *data, size_t size, uint64_t offset, const Entry &entry) {
    while (size > 0) {
        const ssize_t written = pwrite(fd, data, size, static_cast<off_t>(offset));
        if (written < 0) {
            if (errno == EINTR)
                continue;
            fail_with(errno, "cannot write " + quoted(entry.name), entry.size - offset);
        }
        data += written;
        size -= static_cast<size_t>(written);
        offset += static_cast<uint64_t>(written);
    }
}

} // namespace

void TreeWriter::apply(const Entry &entry, EntrySource &source) {
    if (entry.name.empty()) {
        nameless_++;
        return;
    }
    const EntryName name = clean_name(entry.name);
    if (name.is_root()) {
        if (entry.type != EntryType::directory)
            refuse_image("the entry " + quoted(entry.name) +
                         " would replace the root directory by something else; rebuild the image");
        put_directory(name, entry);
        return;
    }
    if (entries_ == EntriesOf::layers && apply_whiteout(name, entry))
        return;
    switch (entry.type) {
    case EntryType::directory:
        return put_directory(name, entry);
    case EntryType::file:
        return put_file(name, entry, source);
    case EntryType::symlink:
        return put_symlink(name, entry);
    case EntryType::hard_link:
        return put_hard_link(name, entry);
    case EntryType::special:
        return skip_special(name);
    }
}

// False for an entry that is no whiteout.
bool TreeWriter::apply_whiteout(const EntryName &name, const Entry &entry) {
    std::string hidden;
    const Whiteout whiteout = whiteout_of(name, hidden);
    if (whiteout == Whiteout::none)
        return false;
    if (whiteout == Whiteout::ignored)
        return true;
    if (const Directory *const parent = tree_.find_parent(name.parent, entry.name)) {
        if (whiteout == Whiteout::name)
            tree_.hide_lower(*parent, hidden);
        else
            tree_.hide_lower_contents(*parent);
    }
    return true;
}

void TreeWriter::put_directory(const EntryName &name, const Entry &entry) {
    const mode_t mode = entry.mode & kept_mode_bits;
    const Directory &made = name.is_root() ? tree_.root() : tree_.put_directory(name, mode, entry.name);
    set_attributes(made.fd.get(), entry);
    tree_.set_directory(made, mode, entry.mtime);
}

void TreeWriter::put_file(const EntryName &name, const Entry &entry, EntrySource &source) {
    const Directory &parent = tree_.make_parent(name.parent, entry.name);
    const mode_t mode = entry.mode & kept_mode_bits;
    // Setting attributes needs write permission.
    const bool gets_mode_last = !tree_.keeps_modes() || has_kept_attribute(entry);
    Descriptor file;
    tree_.replace(parent, name.base, "the file " + quoted(entry.name), [&] {
        file.reset(openat(parent.fd.get(), name.base.c_str(),
                          O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                          gets_mode_last ? 0600 : mode));
        return file.get();
    });
    budget_.take_inode(entry.name);
    budget_.take_file(entry.size, entry.stored_bytes.value_or(entry.size), entry.name);
    write_content(file.get(), entry, source);
    set_attributes(file.get(), entry);
    const struct timespec times[2] = {{0, UTIME_OMIT}, entry.mtime};
    if ((gets_mode_last && fchmod(file.get(), mode) != 0) || futimens(file.get(), times) != 0)
        fail_with(errno, "cannot set the mode and time of " + quoted(entry.name));
    tree_.mark(parent, name.base);
}

void TreeWriter::write_content(int fd, const Entry &entry, EntrySource &source) {
    EntrySource::Bytes piece;
    uint64_t offset;
    uint64_t end = 0;
    while (source.read(piece, offset)) {
        if (offset > entry.size || piece.size > entry.size - offset)
            refuse_image("the file " + quoted(entry.name) +
                         " has data beyond its own size; rebuild the image");
        write_at(fd, piece.data, piece.size, offset, entry);
        end = std::max<uint64_t>(end, offset + piece.size);
    }
    if (end < entry.size && ftruncate(fd, static_cast<off_t>(entry.size)) != 0)
        fail_with(errno, "cannot extend the file " + quoted(entry.name), entry.size - end);
}

void TreeWriter::put_symlink(const EntryName &name, const Entry &entry) {
    if (entry.link_target.empty())
        refuse_image("the symbolic link " + quoted(entry.name) + " has no target; rebuild the image");
    const Directory &parent = tree_.make_parent(name.parent, entry.name);
    tree_.replace(parent, name.base, "the symbolic link " + quoted(entry.name),
                  [&] { return symlinkat(entry.link_target.c_str(), parent.fd.get(), name.base.c_str()); });
    budget_.take_inode(entry.name);
    const struct timespec times[2] = {{0, UTIME_OMIT}, entry.mtime};
    if (utimensat(parent.fd.get(), name.base.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0)
        fail_with(errno, "cannot set the time of " + quoted(entry.name));
    tree_.mark(parent, name.base);
}

void TreeWriter::put_hard_link(const EntryName &name, const Entry &entry) {
    const EntryName target = clean_name(entry.link_target);
    const auto refuse = [&](const char *why) {
        refuse_image("the entry " + quoted(entry.name) + " is a hard link to " + quoted(entry.link_target) +
                     ", " + why + "; rebuild the image");
    };
    if (target.is_root())
        refuse("which is the root directory");

    // A copy of the descriptor, because making the link's own parent forgets the one found here.
    Directory from;
    struct stat status;
    if (const Directory *const found = tree_.find_parent(target.parent, entry.name)) {
        from.fd.reset(fcntl(found->fd.get(), F_DUPFD_CLOEXEC, 3));
        from.inode = found->inode;
        if (!from.fd)
            fail_with(errno, "cannot make the hard link " + quoted(entry.name));
    }
    if (!from.fd || fstatat(from.fd.get(), target.base.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
        if (from.fd && skipped_.contains(place_of(from, target.base)))
            return skip_special(name);
        refuse("which does not exist before it");
    }
    if (S_ISDIR(status.st_mode))
        refuse("which is a directory");

    const Directory &parent = tree_.make_parent(name.parent, entry.name);
    if (parent.inode == from.inode && name.base == target.base)
        refuse("which is itself");
    const auto make = [&] {
        return linkat(from.fd.get(), target.base.c_str(), parent.fd.get(), name.base.c_str(), 0);
    };
    bool made = make() == 0;
    if (!made && errno == EEXIST) {
        tree_.remove(parent, name.base);
        made = make() == 0;
    }
    // EPERM: the target has become a directory, as the link's parent.
    if (!made && (errno == ENOENT || errno == EPERM))
        refuse("which it replaces");
    if (!made)
        fail_to_make(errno, "the hard link " + quoted(entry.name));
    budget_.take_inode(entry.name);
    tree_.mark(parent, name.base);
}

void TreeWriter::skip_special(const EntryName &name) {
    const Directory &parent = tree_.make_parent(name.parent, name.full());
    tree_.remove(parent, name.base);
    skipped_.insert(place_of(parent, name.base));
    specials_++;
}

void TreeWriter::set_attributes(int fd, const Entry &entry) {
    for (const Attribute &attribute : entry.attributes) {
        if (!is_kept_attribute(attribute))
            continue;
        if (fsetxattr(fd, attribute.name.c_str(), attribute.value.data(), attribute.value.size(), 0) == 0)
            continue;
        switch (errno) {
        case ENOTSUP:
        case ERANGE:
        case E2BIG:
        case EPERM:
            attributes_lost_++;
            break;
        default:
            fail_with(errno,
                      "cannot set the attribute " + quoted(attribute.name) + " of " + quoted(entry.name));
        }
    }
}

void TreeWriter::report() const {
    if (nameless_ > 0)
        dprintf(STDERR_FILENO, "warning: left out %" PRIu64 " entries of the image that have no name\n",
                nameless_);
    if (attributes_lost_ > 0)
        dprintf(STDERR_FILENO,
                "warning: left out %" PRIu64 " extended attributes that the tree store cannot hold\n",
                attributes_lost_);
    if (specials_ > 0)
        dprintf(STDERR_FILENO,
                "left out %" PRIu64 " devices and FIFOs of the image; the node's own are in /dev\n",
                specials_);
}

} // namespace stowage
