// What is known of a named container: which image it was made from, and what was asked for.
#pragma once

#include "error.h"

#include <stddef.h>

#define NAMED_RECORD "container"

// All strings are the struct's.
struct named_record {
    // As --image takes it; "" if there is no record.
    char *image;
    // Where a relative path in it starts; may be empty.
    char *base;
    // Of the plan; empty for a directory.
    char *digest;
    // Name of the tree that is its lower layer; empty for a directory.
    char *tree;
    // "NAME=VALUE", as stowage-enter's --option takes them.
    char **options;
    size_t option_count;
    // What the strings point into.
    char *text;
};

// Reads the record in `directory`. One that is not there reads as if all were empty.
int named_record_read(int directory, struct named_record *record, struct error *err);

// Puts the record in the place of an earlier one, atomically; `text` is not looked at.
int named_record_write(int directory, const struct named_record *record, struct error *err);

void named_record_release(struct named_record *record);
