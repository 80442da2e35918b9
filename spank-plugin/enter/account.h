// Who the user is, for the container's /etc/passwd and /etc/group.
#pragma once

#include "error.h"

#include <stdbool.h>

// Of the files in the container, for ranks that are not root there.
enum { ACCOUNT_FILE_MODE = 0644 };

// Two lines in the formats of passwd(5) and group(5), without newline, owned by the struct.
struct account {
    char *passwd_line;
    char *group_line;
    // The home directory, owned by the struct.
    char *home;
};

// Asks the host's name services. A user they do not know gets a line made from the uid and $HOME. Call before
// the namespaces change: afterwards the host's configuration and sockets are out of reach.
int account_read(struct account *account, struct error *err);

// The image's own root, as which ranks run with --image-root, or the usual one if the image has none with a
// home directory.
int account_of_root(struct account *account, int root, struct error *err);

void account_release(struct account *account);

// Whether a line of an image is left out for the user's own line: both have the same name or number.
bool account_line_gives_way(const char *line, size_t length, const char *own);

// Writes <root>/etc/passwd and <root>/etc/group: the image's own files with the user's line in front and
// without other lines of the same name or number. `root` is a descriptor of the container's root.
int account_write(const struct account *account, int root, struct error *err);
