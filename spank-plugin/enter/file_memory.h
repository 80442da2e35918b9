// What files are, remembered on this node for as long as the user has a tree here, so that the next step
// neither reads nor hashes them again. In the tree store, `files/<device>-<inode>-<size>-<mtime>-<ctime>`.
#pragma once

#include "identity.h"
#include "tree_store.h"

#include <sys/stat.h>

// The directory's name in the tree store.
#define FILE_MEMORY "files"

// How many files are remembered; the one remembered longest ago gives way.
enum { FILE_MEMORY_MAX = 64 };

// Whether the file of these attributes is known. A file that changed has other ones.
bool file_memory_find(const struct tree_store *store, const struct stat *file, struct identity *identity);

// Remembers it, if that can be done: nothing fails for want of it. `began` is the time (CLOCK_REALTIME) at
// which the file began to be read: one that had changed in the two seconds before could change again and
// still have the same time stamps, and is not remembered.
void file_memory_keep(const struct tree_store *store, const struct stat *file, const struct timespec *began,
                      const struct identity *identity);
