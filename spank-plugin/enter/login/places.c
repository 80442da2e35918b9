#include "places.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct list {
    struct login_place *places;
    size_t count;
};

// Adds <directory><name>, unless there is no such directory or the path is too long to be one.
static void add(struct list *list, enum login_place_kind kind, const char *directory, const char *name) {
    struct login_place *place = &list->places[list->count];
    if (!directory || directory[0] == '\0')
        return;
    if (snprintf(place->path, sizeof place->path, "%s%s", directory, name) >= (int)sizeof place->path)
        return;
    place->kind = kind;
    place->is_named = false;
    list->count++;
}

static const char *variable(const char *name) {
    const char *value = getenv(name);
    return value && value[0] != '\0' ? value : NULL;
}

size_t login_places(const char *home, struct login_place places[LOGIN_PLACES_MAX]) {
    struct list list = {.places = places};
    char own_config[PATH_MAX];
    snprintf(own_config, sizeof own_config, "%s/.config", home);
    const char *config = variable("XDG_CONFIG_HOME");
    if (!config)
        config = own_config;
    const char *docker = variable("DOCKER_CONFIG"), *enroot = variable("ENROOT_CONFIG_PATH");

    add(&list, LOGIN_PLACE_JSON, variable("REGISTRY_AUTH_FILE"), "");
    if (list.count > 0)
        places[0].is_named = true;
    add(&list, LOGIN_PLACE_JSON, variable("XDG_RUNTIME_DIR"), "/containers/auth.json");
    add(&list, LOGIN_PLACE_JSON, config, "/containers/auth.json");
    add(&list, LOGIN_PLACE_JSON, docker ? docker : home, docker ? "/config.json" : "/.docker/config.json");
    add(&list, LOGIN_PLACE_NETRC, enroot ? enroot : config,
        enroot ? "/.credentials" : "/enroot/.credentials");
    return list.count;
}

const char *login_place_name(const char *path, const char *home) {
    static char name[PATH_MAX + 1];
    size_t length = strlen(home);
    bool below = length > 1 && strncmp(path, home, length) == 0 && path[length] == '/';
    snprintf(name, sizeof name, "%s%s", below ? "~" : "", below ? path + length : path);
    return name;
}
