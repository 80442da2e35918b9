#include "outer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 512 };

// POSIX.1-1988 ustar.
struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100], magic[6],
        version[2], user[32], group[32], major[8], minor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

static int write_all(int fd, const void *bytes, size_t length, struct error *err) {
    for (const char *at = bytes; length > 0;) {
        ssize_t written = write(fd, at, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return error_errno(err, "cannot write the image");
        at += written;
        length -= (size_t)written;
    }
    return 0;
}

static int pad(struct outer *outer, uint64_t bytes, struct error *err) {
    static const char zeros[BLOCK];
    return write_all(outer->fd, zeros, (size_t)((BLOCK - bytes % BLOCK) % BLOCK), err);
}

// In octal, or if it is too large for that, base 256 (GNU tar).
static void put_size(char field[12], uint64_t size) {
    if (size >> 33 == 0) {
        char text[13];
        snprintf(text, sizeof text, "%011llo", (unsigned long long)size);
        memcpy(field, text, 12);
        return;
    }
    field[0] = (char)0x80;
    for (int i = 11; i > 3; i--, size >>= 8)
        field[i] = (char)(size & 0xff);
}

static void fill_header(struct header *header, const char *name, uint64_t size) {
    memset(header, 0, sizeof *header);
    snprintf(header->name, sizeof header->name, "%s", name);
    memcpy(header->mode, "0000644", 8);
    memcpy(header->uid, "0000000", 8);
    memcpy(header->gid, "0000000", 8);
    put_size(header->size, size);
    memcpy(header->mtime, "00000000000", 12);
    header->type = '0';
    memcpy(header->magic, "ustar", 6);
    memcpy(header->version, "00", 2);
    memset(header->checksum, ' ', sizeof header->checksum);
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof *header; i++)
        sum += ((unsigned char *)header)[i];
    snprintf(header->checksum, sizeof header->checksum, "%06o", sum);
}

int outer_open(struct outer *outer, int fd, struct error *err) {
    *outer = (struct outer){.fd = fd, .hash = EVP_MD_CTX_new()};
    return outer->hash ? 0 : error_set(err, "cannot calculate digests");
}

int outer_begin_blob(struct outer *outer, struct error *err) {
    static const struct header later;
    outer->header = lseek(outer->fd, 0, SEEK_CUR);
    outer->blob_bytes = 0;
    if (outer->header < 0)
        return error_errno(err, "cannot write the image");
    if (EVP_DigestInit_ex(outer->hash, EVP_sha256(), NULL) != 1)
        return error_set(err, "cannot calculate digests");
    return write_all(outer->fd, &later, sizeof later, err);
}

int outer_write_blob(struct outer *outer, const void *bytes, size_t length, struct error *err) {
    outer->blob_bytes += length;
    if (EVP_DigestUpdate(outer->hash, bytes, length) != 1)
        return error_set(err, "cannot calculate digests");
    return write_all(outer->fd, bytes, length, err);
}

int outer_end_blob(struct outer *outer, struct digest *digest, struct error *err) {
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (EVP_DigestFinal_ex(outer->hash, bytes, &length) != 1)
        return error_set(err, "cannot calculate digests");
    for (unsigned i = 0; i < length && i < 32; i++)
        snprintf(digest->hex + 2 * i, 3, "%02x", bytes[i]);
    digest->size_bytes = outer->blob_bytes;

    char name[100];
    struct header header;
    snprintf(name, sizeof name, "blobs/sha256/%s", digest->hex);
    fill_header(&header, name, outer->blob_bytes);
    if (pwrite(outer->fd, &header, sizeof header, outer->header) != (ssize_t)sizeof header)
        return error_errno(err, "cannot write the image");
    return pad(outer, outer->blob_bytes, err);
}

int outer_blob(struct outer *outer, const char *text, struct digest *digest, struct error *err) {
    if (outer_begin_blob(outer, err) != 0 || outer_write_blob(outer, text, strlen(text), err) != 0)
        return -1;
    return outer_end_blob(outer, digest, err);
}

int outer_member(struct outer *outer, const char *name, const char *text, struct error *err) {
    struct header header;
    fill_header(&header, name, strlen(text));
    if (write_all(outer->fd, &header, sizeof header, err) != 0 ||
        write_all(outer->fd, text, strlen(text), err) != 0)
        return -1;
    return pad(outer, strlen(text), err);
}

int outer_close(struct outer *outer, struct error *err) {
    static const char end[2 * BLOCK];
    EVP_MD_CTX_free(outer->hash);
    return write_all(outer->fd, end, sizeof end, err);
}
