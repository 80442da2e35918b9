#include "login.h"
#include "enter/wiped_memory.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

static char *copy(const char *bytes, size_t length) {
    char *copied = malloc(length + 1);
    if (copied) {
        memcpy(copied, bytes, length);
        copied[length] = '\0';
    }
    return copied;
}

static int too_long(struct error *problem) {
    return error_set(problem, "is longer than %d bytes", LOGIN_PART_MAX);
}

static void replace(char **part, char *with) {
    wiped_free(*part);
    *part = with;
}

void login_release(struct login *login) {
    wiped_free(login->username);
    wiped_free(login->password);
    wiped_free(login->identity_token);
    *login = (struct login){0};
}

bool login_is_there(const struct login *login) {
    return login->identity_token || (login->username && login->password);
}

int login_set_password(struct login *login, const char *username, size_t username_bytes, const char *password,
                       size_t password_bytes, struct error *problem) {
    if (username_bytes > LOGIN_PART_MAX || password_bytes > LOGIN_PART_MAX)
        return too_long(problem);
    char *name = copy(username, username_bytes);
    char *secret = copy(password, password_bytes);
    if (!name || !secret || strlen(name) != username_bytes || !utf8_is_valid(name)) {
        wiped_free(name);
        wiped_free(secret);
        return error_set(problem, "holds a user name that is not text");
    }
    replace(&login->username, name);
    replace(&login->password, secret);
    login->password_bytes = password_bytes;
    return 0;
}

int login_set_token(struct login *login, const char *token, size_t bytes, struct error *problem) {
    if (bytes > LOGIN_PART_MAX)
        return too_long(problem);
    char *copied = copy(token, bytes);
    if (!copied)
        return error_errno(problem, "cannot be held in memory");
    replace(&login->identity_token, copied);
    return 0;
}

int login_split(struct login *login, const char *text, size_t length, struct error *problem) {
    const char *colon = memchr(text, ':', length);
    if (!colon)
        return error_set(problem, "is not a name and a password with a colon between them");
    size_t name = (size_t)(colon - text);
    return login_set_password(login, text, name, colon + 1, length - name - 1, problem);
}
