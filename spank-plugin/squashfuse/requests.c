#include "requests.h"
#include "attributes.h"
#include "content.h"
#include "directory.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

// Some hundred years.
static const uint64_t FOR_EVER_SECONDS = UINT32_MAX;

// As stowage-unpack does: no setuid and setgid.
enum { KEPT_MODE_BITS = 01777 };

// 1 is the root, 0 is none.
enum { FIRST_NODE = 2 };

static uint64_t reference_of(const struct worker *worker, uint64_t node) {
    return node == FUSE_ROOT_ID ? worker->reader.image->super.root_inode_ref : node - FIRST_NODE;
}

static int get_inode(struct worker *worker, uint64_t node, const sqfs_inode_generic_t **inode) {
    return reader_inode(&worker->reader, reference_of(worker, node), inode);
}

static bool is_shown(const sqfs_inode_generic_t *inode) {
    return S_ISDIR(inode->base.mode) || S_ISREG(inode->base.mode) || S_ISLNK(inode->base.mode);
}

static uint32_t link_count(const sqfs_inode_generic_t *inode) {
    switch (inode->base.type) {
    case SQFS_INODE_DIR:
        return inode->data.dir.nlink;
    case SQFS_INODE_EXT_DIR:
        return inode->data.dir_ext.nlink;
    case SQFS_INODE_SLINK:
    case SQFS_INODE_EXT_SLINK:
        return inode->data.slink.nlink;
    case SQFS_INODE_EXT_FILE:
        return inode->data.file_ext.nlink;
    default:
        return 1;
    }
}

static uint64_t size_of(const sqfs_inode_generic_t *inode) {
    sqfs_u64 size = 0;
    if (inode->base.type == SQFS_INODE_DIR)
        return inode->data.dir.size;
    if (inode->base.type == SQFS_INODE_EXT_DIR)
        return inode->data.dir_ext.size;
    if (S_ISLNK(inode->base.mode))
        return inode->data.slink.target_size;
    return sqfs_inode_get_file_size(inode, &size) == 0 ? size : 0;
}

static void describe(const struct worker *worker, const sqfs_inode_generic_t *inode, struct fuse_attr *out) {
    const struct image *image = worker->reader.image;
    *out = (struct fuse_attr){
        .ino = inode->base.inode_number,
        .size = size_of(inode),
        .blocks = (size_of(inode) + 511) / 512,
        .atime = inode->base.mod_time,
        .mtime = inode->base.mod_time,
        .ctime = inode->base.mod_time,
        .mode = (inode->base.mode & S_IFMT) | (inode->base.mode & KEPT_MODE_BITS),
        .nlink = link_count(inode),
        .uid = image->uid,
        .gid = image->gid,
        .blksize = image->super.block_size,
    };
}

// Returns 0 or a negative errno.
static int describe_entry(struct worker *worker, uint64_t reference, struct fuse_entry_out *out) {
    const sqfs_inode_generic_t *inode;
    int result = reader_inode(&worker->reader, reference, &inode);
    if (result != 0)
        return result;
    if (!is_shown(inode))
        return -ENOENT;
    // A directory inside itself.
    if (reference == worker->reader.image->super.root_inode_ref)
        return -ELOOP;
    *out = (struct fuse_entry_out){
        .nodeid = reference + FIRST_NODE, .entry_valid = FOR_EVER_SECONDS, .attr_valid = FOR_EVER_SECONDS};
    describe(worker, inode, &out->attr);
    return 0;
}

static ssize_t on_lookup(struct worker *worker, uint64_t node, const void *arguments) {
    const sqfs_inode_generic_t *directory;
    uint64_t reference;
    struct fuse_entry_out entry;
    int result = get_inode(worker, node, &directory);
    if (result == 0)
        result = directory_find(&worker->reader, directory, arguments, &reference);
    if (result == 0)
        result = describe_entry(worker, reference, &entry);
    // Node 0: there is none, and will be none.
    if (result == -ENOENT)
        entry = (struct fuse_entry_out){.entry_valid = FOR_EVER_SECONDS};
    else if (result != 0)
        return result;
    memcpy(worker->answer, &entry, sizeof entry);
    return sizeof entry;
}

static ssize_t on_getattr(struct worker *worker, uint64_t node, const void *arguments) {
    (void)arguments;
    const sqfs_inode_generic_t *inode;
    int result = get_inode(worker, node, &inode);
    if (result != 0)
        return result;
    struct fuse_attr_out out = {.attr_valid = FOR_EVER_SECONDS};
    describe(worker, inode, &out.attr);
    memcpy(worker->answer, &out, sizeof out);
    return sizeof out;
}

static ssize_t on_readlink(struct worker *worker, uint64_t node, const void *arguments) {
    (void)arguments;
    const sqfs_inode_generic_t *inode;
    int result = get_inode(worker, node, &inode);
    if (result != 0)
        return result;
    if (!S_ISLNK(inode->base.mode))
        return -EINVAL;
    size_t length = strnlen((const char *)inode->extra, inode->data.slink.target_size);
    if (length >= PATH_MAX)
        return -ENAMETOOLONG;
    memcpy(worker->answer, inode->extra, length);
    return (ssize_t)length;
}

static ssize_t on_read(struct worker *worker, uint64_t node, const void *arguments) {
    const struct fuse_read_in *wanted = arguments;
    const sqfs_inode_generic_t *inode;
    int result = get_inode(worker, node, &inode);
    if (result != 0)
        return result;
    if (!S_ISREG(inode->base.mode))
        return -EINVAL;
    size_t size = wanted->size < ANSWER_MAX ? wanted->size : ANSWER_MAX;
    return content_read(&worker->reader, inode, wanted->offset, worker->answer, size);
}

// Appends one entry to the `used` bytes of the answer. False if there is no room for it.
static bool add_entry(struct worker *worker, size_t room, size_t *used, const struct directory_entry *entry,
                      uint64_t next, const struct fuse_entry_out *details) {
    const size_t length = strlen(entry->name);
    const size_t header = details ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET;
    const size_t size = FUSE_DIRENT_ALIGN(header + length);
    if (size > room - *used)
        return false;
    uint8_t *to = worker->answer + *used;
    memset(to, 0, size);
    if (details)
        memcpy(to, details, sizeof *details);
    const struct fuse_dirent dirent = {
        .ino = entry->inode_number, .off = next, .namelen = (uint32_t)length, .type = entry->type};
    memcpy(to + header - FUSE_NAME_OFFSET, &dirent, FUSE_NAME_OFFSET);
    memcpy(to + header, entry->name, length);
    *used += size;
    return true;
}

static uint32_t parent_number(const sqfs_inode_generic_t *directory) {
    return directory->base.type == SQFS_INODE_DIR ? directory->data.dir.parent_inode
                                                  : directory->data.dir_ext.parent_inode;
}

enum { DOT, DOT_DOT, DOTS };

static ssize_t list(struct worker *worker, uint64_t node, const struct fuse_read_in *wanted, bool detailed) {
    static const struct fuse_entry_out no_details;
    const size_t room = wanted->size < ANSWER_MAX ? wanted->size : ANSWER_MAX;
    const sqfs_inode_generic_t *directory;
    struct directory_entry entry = {.type = DT_DIR};
    size_t used = 0;
    int result = get_inode(worker, node, &directory);
    if (result != 0)
        return result;
    if (!S_ISDIR(directory->base.mode))
        return -ENOTDIR;
    for (uint64_t dot = wanted->offset; dot < DOTS; dot++) {
        strcpy(entry.name, dot == DOT ? "." : "..");
        entry.inode_number = dot == DOT ? directory->base.inode_number : parent_number(directory);
        if (!add_entry(worker, room, &used, &entry, dot + 1, detailed ? &no_details : NULL))
            return (ssize_t)used;
    }

    result = directory_seek(&worker->reader, reference_of(worker, node),
                            wanted->offset < DOTS ? 0 : wanted->offset - DOTS);
    while (result == 0) {
        struct fuse_entry_out details;
        uint64_t next;
        const typeof(worker->reader.listing) before = worker->reader.listing;
        result = directory_next(&worker->reader, &entry, &next);
        if (result <= 0)
            break;
        result = detailed ? describe_entry(worker, entry.reference, &details) : 0;
        // What cannot be looked up shows its error when it is.
        if (result != 0)
            details = no_details;
        result = 0;
        if (!add_entry(worker, room, &used, &entry, next + DOTS, detailed ? &details : NULL)) {
            worker->reader.listing = before;
            break;
        }
    }
    return used > 0 ? (ssize_t)used : result;
}

static ssize_t on_readdir(struct worker *worker, uint64_t node, const void *arguments) {
    return list(worker, node, arguments, false);
}

static ssize_t on_readdirplus(struct worker *worker, uint64_t node, const void *arguments) {
    return list(worker, node, arguments, true);
}

static ssize_t on_statfs(struct worker *worker, uint64_t node, const void *arguments) {
    (void)node, (void)arguments;
    const sqfs_super_t *super = &worker->reader.image->super;
    const struct fuse_statfs_out out = {.st = {.blocks = super->bytes_used / super->block_size + 1,
                                               .files = super->inode_count,
                                               .bsize = super->block_size,
                                               .frsize = super->block_size,
                                               .namelen = 255}};
    memcpy(worker->answer, &out, sizeof out);
    return sizeof out;
}

// The size alone if the kernel gives no room for more.
static ssize_t answer_attribute(struct worker *worker, ssize_t size, uint32_t room) {
    if (size < 0 || room > 0)
        return size;
    const struct fuse_getxattr_out out = {.size = (uint32_t)size};
    memcpy(worker->answer, &out, sizeof out);
    return sizeof out;
}

static ssize_t on_getxattr(struct worker *worker, uint64_t node, const void *arguments) {
    const struct fuse_getxattr_in *wanted = arguments;
    const sqfs_inode_generic_t *inode;
    // Said once, the kernel does not ask again; overlayfs would ask for every directory.
    if (!worker->reader.image->has_attributes)
        return -ENOSYS;
    int result = get_inode(worker, node, &inode);
    if (result != 0)
        return result;
    const uint32_t room = wanted->size < ANSWER_MAX ? wanted->size : ANSWER_MAX;
    const char *name = (const char *)(wanted + 1);
    return answer_attribute(
        worker, attribute_get(&worker->reader, inode, name, room > 0 ? worker->answer : NULL, room), room);
}

static ssize_t on_listxattr(struct worker *worker, uint64_t node, const void *arguments) {
    const struct fuse_getxattr_in *wanted = arguments;
    const sqfs_inode_generic_t *inode;
    if (!worker->reader.image->has_attributes)
        return -ENOSYS;
    int result = get_inode(worker, node, &inode);
    if (result != 0)
        return result;
    const uint32_t room = wanted->size < ANSWER_MAX ? wanted->size : ANSWER_MAX;
    return answer_attribute(worker, attributes_list(&worker->reader, inode, (char *)worker->answer, room),
                            room);
}

static ssize_t on_forget(struct worker *worker, uint64_t node, const void *arguments) {
    (void)worker, (void)node, (void)arguments;
    return NO_ANSWER;
}

static ssize_t on_destroy(struct worker *worker, uint64_t node, const void *arguments) {
    (void)worker, (void)node, (void)arguments;
    return 0;
}

// Whatever is not here is answered with ENOSYS. For opening that means that the kernel does it alone from
// then on, without a message to us; for the rest, that it does without.
static const struct {
    uint32_t opcode;
    // Fixed part of the arguments, and whether a name follows.
    size_t fixed;
    bool named;
    ssize_t (*answer)(struct worker *worker, uint64_t node, const void *arguments);
} KNOWN[] = {
    {FUSE_LOOKUP, 0, true, on_lookup},
    {FUSE_GETATTR, 0, false, on_getattr},
    {FUSE_READLINK, 0, false, on_readlink},
    {FUSE_READ, sizeof(struct fuse_read_in), false, on_read},
    {FUSE_READDIR, sizeof(struct fuse_read_in), false, on_readdir},
    {FUSE_READDIRPLUS, sizeof(struct fuse_read_in), false, on_readdirplus},
    {FUSE_STATFS, 0, false, on_statfs},
    {FUSE_GETXATTR, sizeof(struct fuse_getxattr_in), true, on_getxattr},
    {FUSE_LISTXATTR, sizeof(struct fuse_getxattr_in), false, on_listxattr},
    {FUSE_FORGET, 0, false, on_forget},
    {FUSE_BATCH_FORGET, 0, false, on_forget},
    {FUSE_DESTROY, 0, false, on_destroy},
};

ssize_t answer_request(struct worker *worker, uint32_t opcode, uint64_t node, const void *arguments,
                       size_t size) {
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++) {
        if (KNOWN[i].opcode != opcode)
            continue;
        if (size < KNOWN[i].fixed || (KNOWN[i].named && !memchr((const char *)arguments + KNOWN[i].fixed,
                                                                '\0', size - KNOWN[i].fixed)))
            return -EINVAL;
        return KNOWN[i].answer(worker, node, arguments);
    }
    return -ENOSYS;
}
