// Extended attributes. Shown are those of the user's own name space, but not those in which an overlay of an
// unprivileged user keeps its marks: an image must not make files vanish or appear.
#pragma once

#include "image.h"

// Whether any file of the image has one that is shown.
bool attributes_any(struct reader *reader);

// Writes the names, each with a NUL, to `names`, or only counts their bytes if `size` is 0. Returns the
// number of bytes or a negative errno, ERANGE if they do not fit.
ssize_t attributes_list(struct reader *reader, const sqfs_inode_generic_t *inode, char *names, size_t size);

// Writes the value of attribute `name` to `value`, or only tells its size if `size` is 0. Returns the size or
// a negative errno, ENODATA if there is no such attribute.
ssize_t attribute_get(struct reader *reader, const sqfs_inode_generic_t *inode, const char *name, void *value,
                      size_t size);
