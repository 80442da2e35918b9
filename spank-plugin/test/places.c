#include "enter/login/places.h"
#include "tap.h"

#include <stdlib.h>

static struct login_place places[LOGIN_PLACES_MAX];

static void clear(void) {
    static const char *const NAMES[] = {"REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME",
                                        "DOCKER_CONFIG", "ENROOT_CONFIG_PATH"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        unsetenv(NAMES[i]);
}

int main(void) {
    clear();
    ok(login_places("/home/u", places) == 3, "knows three places without help");
    is_text(places[0].path, "/home/u/.config/containers/auth.json", "podman's first");
    is_text(places[1].path, "/home/u/.docker/config.json", "then docker's");
    is_text(places[2].path, "/home/u/.config/enroot/.credentials", "then enroot's");
    ok(places[0].kind == LOGIN_PLACE_JSON && places[1].kind == LOGIN_PLACE_JSON &&
           places[2].kind == LOGIN_PLACE_NETRC,
       "and what they hold");

    setenv("REGISTRY_AUTH_FILE", "/a", 1);
    setenv("XDG_RUNTIME_DIR", "/run/user/1", 1);
    setenv("XDG_CONFIG_HOME", "/c", 1);
    setenv("DOCKER_CONFIG", "/d", 1);
    setenv("ENROOT_CONFIG_PATH", "/e", 1);
    ok(login_places("/home/u", places) == 5, "knows five with the environment");
    is_text(places[0].path, "/a", "the file that is named");
    ok(places[0].is_named && !places[1].is_named, "which should be there");
    is_text(places[1].path, "/run/user/1/containers/auth.json", "that of the login session");
    is_text(places[2].path, "/c/containers/auth.json", "that of the configuration");
    is_text(places[3].path, "/d/config.json", "docker's");
    is_text(places[4].path, "/e/.credentials", "enroot's");
    clear();
    setenv("DOCKER_CONFIG", "", 1);
    ok(login_places("/home/u", places) == 3, "takes an empty variable for none");

    char home[PATH_MAX + 10];
    memset(home, 'x', sizeof home);
    home[sizeof home - 1] = '\0';
    ok(login_places(home, places) == 0, "leaves out what is too long to be a path");

    is_text(login_place_name("/home/u/.docker/config.json", "/home/u"), "~/.docker/config.json",
            "abbreviates");
    is_text(login_place_name("/home/user/x", "/home/u"), "/home/user/x", "but not another home");
    is_text(login_place_name("/etc/x", "/"), "/etc/x", "nor with the root as home");
    return tap_done();
}
