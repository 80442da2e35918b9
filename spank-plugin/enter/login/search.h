// Looking for a login in all the places where users keep them.
#pragma once

#include "login.h"

struct login_search {
    const char *registry;
    const char *repository;
    // The user's home directory.
    const char *home;
    // Told what is about to be done and may take long: "reading ~/.docker/config.json".
    void (*doing)(void *context, const char *what);
    void *context;
};

// Takes the first login that there is. If there is none, login->problem says why, in case one of the places
// could not be looked into. May take for ever: a file may lie on a server that is gone.
void login_search(const struct login_search *search, struct login *login);
