// Where users keep logins, in the order in which they are looked for.
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

enum login_place_kind {
    LOGIN_PLACE_JSON,
    LOGIN_PLACE_NETRC,
};

struct login_place {
    enum login_place_kind kind;
    char path[PATH_MAX];
    // A variable names this very file: it should be there.
    bool is_named;
};

enum { LOGIN_PLACES_MAX = 6 };

// Lists $REGISTRY_AUTH_FILE, podman's files, docker's and enroot's. `home` is the user's home directory; the
// rest is told by the environment. Returns how many there are.
size_t login_places(const char *home, struct login_place places[LOGIN_PLACES_MAX]);

// "~/…" for what is below `home`, in a buffer that the next call overwrites.
const char *login_place_name(const char *path, const char *home);
