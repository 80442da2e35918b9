#include "layer.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

struct layer {
    struct outer *outer;
    struct archive *disk;
    struct archive *archive;
    struct archive_entry_linkresolver *links;
    // Of the blob; libarchive has no words for it.
    struct error failure;
    bool failed;
};

static la_ssize_t take(struct archive *archive, void *context, const void *bytes, size_t length) {
    struct layer *layer = context;
    if (outer_write_blob(layer->outer, bytes, length, &layer->failure) != 0) {
        layer->failed = true;
        archive_set_error(archive, EIO, "%s", layer->failure.text);
        return -1;
    }
    return (la_ssize_t)length;
}

static int explain(const struct layer *layer, struct archive *archive, const char *doing, const char *name,
                   struct error *err) {
    if (layer->failed)
        return error_set(err, "%s", layer->failure.text);
    const char *why = archive_error_string(archive);
    return error_set(err, "cannot %s %s of the container: %s", doing, name, why ? why : "unknown reason");
}

static int fill(struct layer *layer, la_int64_t bytes) {
    static const char zeros[65536];
    while (bytes > 0) {
        size_t length = bytes < (la_int64_t)sizeof zeros ? (size_t)bytes : sizeof zeros;
        la_ssize_t written = archive_write_data(layer->archive, zeros, length);
        if (written <= 0)
            return -1;
        bytes -= written;
    }
    return 0;
}

static int write_block(struct layer *layer, const char *block, size_t length) {
    while (length > 0) {
        la_ssize_t written = archive_write_data(layer->archive, block, length);
        if (written <= 0)
            return -1;
        block += written;
        length -= (size_t)written;
    }
    return 0;
}

// Holes are written as zeros: not every reader of layers knows sparse files.
static int copy_content(struct layer *layer, const char *name, la_int64_t size, struct error *err) {
    const void *block;
    size_t length;
    la_int64_t offset, written = 0;
    int result;
    while ((result = archive_read_data_block(layer->disk, &block, &length, &offset)) == ARCHIVE_OK) {
        if (fill(layer, offset - written) != 0 || write_block(layer, block, length) != 0)
            return explain(layer, layer->archive, "write", name, err);
        written = offset + (la_int64_t)length;
    }
    if (result != ARCHIVE_EOF)
        return explain(layer, layer->disk, "read", name, err);
    return fill(layer, size - written) == 0 ? 0 : explain(layer, layer->archive, "write", name, err);
}

// In a layer such a name would take a file of a lower layer away.
static int check_name(const char *path, struct error *err) {
    const char *slash = strrchr(path, '/');
    return strncmp(slash ? slash + 1 : path, ".wh.", 4) == 0
               ? error_set(err,
                           "the container's %s cannot be saved in an OCI image, where names that begin with "
                           ".wh. have another "
                           "meaning; remove it, or save to a squashfs file",
                           path + (path[0] == '.'))
               : 0;
}

static int write_entry(struct layer *layer, struct archive_entry *entry, struct error *err) {
    const char *name = archive_entry_pathname(entry);
    if (archive_entry_filetype(entry) == AE_IFSOCK)
        return 0;
    if (check_name(name, err) != 0)
        return -1;
    archive_entry_set_uid(entry, 0);
    archive_entry_set_gid(entry, 0);
    archive_entry_set_uname(entry, NULL);
    archive_entry_set_gname(entry, NULL);
    archive_entry_sparse_clear(entry);
    struct archive_entry *spare = NULL;
    archive_entry_linkify(layer->links, &entry, &spare);
    // Warns of names that are no UTF-8, whose bytes it writes as they are.
    if (archive_write_header(layer->archive, entry) < ARCHIVE_WARN)
        return explain(layer, layer->archive, "write", name, err);
    la_int64_t size = archive_entry_size(entry);
    bool has_content =
        archive_entry_filetype(entry) == AE_IFREG && !archive_entry_hardlink(entry) && size > 0;
    return has_content ? copy_content(layer, name, size, err) : 0;
}

static int write_entries(struct layer *layer, struct error *err) {
    struct archive_entry *entry = archive_entry_new();
    int found, result = 0;
    while (result == 0 && (found = archive_read_next_header2(layer->disk, entry)) == ARCHIVE_OK) {
        result = write_entry(layer, entry, err);
        archive_read_disk_descend(layer->disk);
        archive_entry_clear(entry);
    }
    if (result == 0 && found != ARCHIVE_EOF)
        result = explain(layer, layer->disk, "read", archive_entry_pathname(entry) ?: "a file", err);
    archive_entry_free(entry);
    return result;
}

static bool open_both(struct layer *layer, const char *directory) {
    return chdir(directory) == 0 && archive_read_disk_set_symlink_physical(layer->disk) == ARCHIVE_OK &&
           archive_read_disk_set_behavior(layer->disk, ARCHIVE_READDISK_NO_ACL | ARCHIVE_READDISK_NO_FFLAGS |
                                                           ARCHIVE_READDISK_NO_TRAVERSE_MOUNTS) ==
               ARCHIVE_OK &&
           archive_read_disk_open(layer->disk, ".") == ARCHIVE_OK &&
           archive_write_set_format_pax(layer->archive) == ARCHIVE_OK &&
           archive_write_set_format_option(layer->archive, "pax", "xattrheader", "SCHILY") == ARCHIVE_OK &&
           archive_write_set_bytes_per_block(layer->archive, 1 << 16) == ARCHIVE_OK &&
           archive_write_set_bytes_in_last_block(layer->archive, 1) == ARCHIVE_OK &&
           archive_write_open(layer->archive, layer, NULL, take, NULL) == ARCHIVE_OK;
}

int layer_write(struct outer *outer, const char *directory, struct error *err) {
    struct layer layer = {.outer = outer,
                          .disk = archive_read_disk_new(),
                          .archive = archive_write_new(),
                          .links = archive_entry_linkresolver_new()};
    int result;
    if (!layer.disk || !layer.archive || !layer.links || !open_both(&layer, directory)) {
        result = error_set(err, "cannot begin to save the container's files");
    } else {
        archive_entry_linkresolver_set_strategy(layer.links, ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE);
        result = write_entries(&layer, err);
        if (result == 0 && archive_write_close(layer.archive) != ARCHIVE_OK)
            result = explain(&layer, layer.archive, "write", "the end", err);
    }
    if (result != 0)
        archive_write_fail(layer.archive);
    archive_entry_linkresolver_free(layer.links);
    archive_read_free(layer.disk);
    archive_write_free(layer.archive);
    return result;
}
