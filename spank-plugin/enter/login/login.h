// What a user logs in to a registry with.
#pragma once

#include "error.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    // Longest name, password and token that are taken, in bytes.
    LOGIN_PART_MAX = 64 * 1024,
    LOGIN_SOURCE_MAX = 4096,
};

// Strings are owned by the struct and wiped with it; NULL is none. Either a name and a password, which may
// hold any bytes, or a token in their place.
struct login {
    char *username;
    char *password;
    size_t password_bytes;
    char *identity_token;
    // Where it is from, for sentences: "~/.docker/config.json", "docker-credential-pass".
    char source[LOGIN_SOURCE_MAX];
    // Why there is none though there should be one, as a clause; "" otherwise.
    struct error problem;
    // A sentence that the user should see although there is a login, or "".
    struct error remark;
};

void login_release(struct login *login);

// Whether there is anything to log in with.
bool login_is_there(const struct login *login);

// Sets name and password from "name:password", split at the first colon. Fails without one.
int login_split(struct login *login, const char *text, size_t length, struct error *problem);

// Copies name and password, or the token. Fails if they are too long, or the name is not UTF-8, which is all
// that gRPC carries.
int login_set_password(struct login *login, const char *username, size_t username_bytes, const char *password,
                       size_t password_bytes, struct error *problem);
int login_set_token(struct login *login, const char *token, size_t bytes, struct error *problem);
