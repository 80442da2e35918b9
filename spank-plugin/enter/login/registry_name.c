#include "registry_name.h"

#include <string.h>
#include <strings.h>

static bool same(const char *wanted, const char *name, size_t length) {
    return strlen(wanted) == length && strncasecmp(wanted, name, length) == 0;
}

bool registry_is_called(const char *registry, const char *name, size_t length) {
    static const char *const HUB[] = {"docker.io", "index.docker.io", "registry-1.docker.io",
                                      "registry.hub.docker.com"};
    static const char OWN_PORT[] = ":443";
    const size_t port = sizeof OWN_PORT - 1;
    // stowaged never writes the port of https.
    if (length > port && memcmp(name + length - port, OWN_PORT, port) == 0)
        length -= port;
    if (same(registry, name, length))
        return true;
    if (strcmp(registry, "docker.io") != 0)
        return false;
    for (size_t i = 0; i < sizeof HUB / sizeof *HUB; i++) {
        if (same(HUB[i], name, length))
            return true;
    }
    return false;
}

// Whether the path is at or above the repository.
static bool is_scope_of(const char *path, const char *repository) {
    size_t length = strlen(path);
    return strncmp(path, repository, length) == 0 &&
           (repository[length] == '/' || repository[length] == '\0');
}

static bool ends_with_slash(const char *text) {
    size_t length = strlen(text);
    return length > 0 && text[length - 1] == '/';
}

unsigned registry_key_fit(const char *key, const char *registry, const char *repository) {
    const char *host = key;
    if (strncmp(host, "https://", 8) == 0)
        host += 8;
    else if (strncmp(host, "http://", 7) == 0)
        host += 7;
    size_t length = strcspn(host, "/");
    const char *path = host + length;
    if (!registry_is_called(registry, host, length))
        return 0;
    // docker used to write the address of the API: what follows the host then says nothing.
    if (host != key || ends_with_slash(path))
        return 1;
    if (*path == '\0')
        return 2;
    return is_scope_of(path + 1, repository) ? 2 + (unsigned)strlen(path) : 0;
}
