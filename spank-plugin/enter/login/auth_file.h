// The JSON in which podman, skopeo and docker keep logins: containers-auth.json(5), docker's config.json.
#pragma once

#include "login.h"

enum { PROGRAM_NAME_MAX = 64 };

// What a file says about one image.
struct auth_file_entry {
    // Of credHelpers, or else credsStore: the program that knows the login is docker-credential-<this>; or
    // "".
    char program[PROGRAM_NAME_MAX];
    // Of auths; perhaps there is none.
    struct login login;
};

// Reads the text. Returns 0, *entry being empty if the file says nothing about the image, or -1 with the
// reason as a clause that follows the file's name; neither it nor anything else repeats what the file holds
// but names of registries and programs.
int auth_file_find(const char *text, size_t length, const char *registry, const char *repository,
                   struct auth_file_entry *entry, struct error *problem);

// Whether the name can be that of a program and leads nowhere else.
bool auth_file_is_program(const char *name);
