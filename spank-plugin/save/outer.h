// The tar archive with the files of an OCI image layout.
#pragma once

#include "error.h"

#include <openssl/evp.h>
#include <stdint.h>
#include <sys/types.h>

struct digest {
    char hex[65];
    uint64_t size_bytes;
};

struct outer {
    int fd;
    // Where the header of the blob under way belongs.
    off_t header;
    uint64_t blob_bytes;
    EVP_MD_CTX *hash;
};

int outer_open(struct outer *outer, int fd, struct error *err);

// A blob is named by its digest, so that its header is written last.
int outer_begin_blob(struct outer *outer, struct error *err);
int outer_write_blob(struct outer *outer, const void *bytes, size_t length, struct error *err);
int outer_end_blob(struct outer *outer, struct digest *digest, struct error *err);

// A blob that is there as a whole.
int outer_blob(struct outer *outer, const char *text, struct digest *digest, struct error *err);

int outer_member(struct outer *outer, const char *name, const char *text, struct error *err);

// Writes the end of the archive.
int outer_close(struct outer *outer, struct error *err);
