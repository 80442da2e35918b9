// The grammar of --image-mount. wrapper/settings/mount-spec.ts is the same; test/support/mounts.tsv holds the
// cases for both.
//
//   SRC[:DST[:FLAGS]]   a bind mount; DST is SRC unless given
//   tmpfs:DST[:FLAGS]   an empty file system in memory
//   umount:DST          nothing that is mounted there
//
// Several are separated by ',', FLAGS by '+'. What a backslash does: escaped_text.h.
#pragma once

#include "error.h"

// Whether the text can be used. Nothing is looked up: the source may be there on the compute nodes only.
// Fails with the item, the reason and the remedy.
int mount_spec_check(const char *text, struct error *err);

// The same mounts, with sources that begin with "./" or "../" as paths below `directory`. Call it once the
// text has been checked. *anchored is the caller's to free.
int mount_spec_anchor(const char *text, const char *directory, char **anchored, struct error *err);
