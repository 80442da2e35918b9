#include "auth_file.h"
#include "base64.h"
#include "enter/wiped_memory.h"
#include "registry_name.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char DIGITS_AND_LETTERS[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

bool auth_file_is_program(const char *name) {
    size_t length = strlen(name);
    return length > 0 && length < PROGRAM_NAME_MAX && strspn(name, DIGITS_AND_LETTERS) == length;
}

// The member of the name, or NULL. Fails if it is there and not of the type.
static int member(const json_t *object, const char *name, json_type type, json_t **value,
                  struct error *problem) {
    *value = json_object_get(object, name);
    if (json_is_null(*value))
        *value = NULL;
    if (*value && json_typeof(*value) != type)
        return error_set(problem, "has a '%s' that is not %s", name,
                         type == JSON_OBJECT ? "an object" : "a string");
    return 0;
}

static int read_program(const json_t *root, const char *registry, char program[PROGRAM_NAME_MAX],
                        struct error *problem) {
    json_t *helpers, *value, *store;
    const char *key;
    if (member(root, "credHelpers", JSON_OBJECT, &helpers, problem) != 0 ||
        member(root, "credsStore", JSON_STRING, &store, problem) != 0)
        return -1;
    const char *name = store ? json_string_value(store) : "";
    json_object_foreach(helpers, key, value) {
        if (registry_key_fit(key, registry, "") == 0)
            continue;
        if (!json_is_string(value))
            return error_set(problem, "has in 'credHelpers', for %s, something that is not a string", key);
        name = json_string_value(value);
    }
    if (*name != '\0' && !auth_file_is_program(name))
        return error_set(problem, "names the program 'docker-credential-%.100s', which cannot be its name",
                         name);
    strcpy(program, name);
    return 0;
}

static int decode(const json_t *value, struct login *login, struct error *problem) {
    const char *text = json_string_value(value);
    size_t length = json_string_length(value);
    cleanup_wiped char *decoded = malloc(length / 4 * 3 + 3);
    ssize_t bytes = decoded ? base64_decode(text, length, decoded) : -1;
    if (bytes < 0)
        return error_set(problem, "is not base64");
    // docker takes them off as well: some tools put them there.
    while (bytes > 0 && decoded[bytes - 1] == '\0')
        bytes--;
    return login_split(login, decoded, (size_t)bytes, problem);
}

static int read_login(const json_t *object, struct login *login, struct error *problem) {
    json_t *auth, *token, *username, *password;
    if (!json_is_object(object))
        return error_set(problem, "is not an object");
    if (member(object, "auth", JSON_STRING, &auth, problem) != 0 ||
        member(object, "identitytoken", JSON_STRING, &token, problem) != 0 ||
        member(object, "username", JSON_STRING, &username, problem) != 0 ||
        member(object, "password", JSON_STRING, &password, problem) != 0)
        return -1;
    if (token && json_string_length(token) > 0)
        return login_set_token(login, json_string_value(token), json_string_length(token), problem);
    if (auth && json_string_length(auth) > 0)
        return decode(auth, login, problem);
    if (username && password && json_string_length(username) > 0)
        return login_set_password(login, json_string_value(username), json_string_length(username),
                                  json_string_value(password), json_string_length(password), problem);
    return 0;
}

// The entry that says most about the image and has a login: docker leaves empty ones where a program has it.
static int read_auths(const json_t *root, const char *registry, const char *repository, struct login *login,
                      struct error *problem) {
    json_t *auths, *value;
    const char *key;
    unsigned best = 0;
    if (member(root, "auths", JSON_OBJECT, &auths, problem) != 0)
        return -1;
    json_object_foreach(auths, key, value) {
        unsigned fit = registry_key_fit(key, registry, repository);
        struct login found = {0};
        if (fit <= best)
            continue;
        if (read_login(value, &found, problem) != 0) {
            login_release(login);
            return error_wrap(problem, "has an entry for '%s' that cannot be used: it", key);
        }
        if (!login_is_there(&found))
            continue;
        login_release(login);
        *login = found;
        best = fit;
    }
    return 0;
}

int auth_file_find(const char *text, size_t length, const char *registry, const char *repository,
                   struct auth_file_entry *entry, struct error *problem) {
    json_error_t where;
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where);
    if (!root) {
        // The library's own words repeat what is there.
        if (json_error_code(&where) == json_error_duplicate_key)
            return error_set(problem, "has a name twice in one object, in line %d", where.line);
        return error_set(problem, "is not JSON, in line %d", where.line);
    }
    struct auth_file_entry read = {0};
    int result = json_is_object(root) ? 0 : error_set(problem, "is not a JSON object");
    if (result == 0)
        result = read_program(root, registry, read.program, problem);
    if (result == 0)
        result = read_auths(root, registry, repository, &read.login, problem);
    json_decref(root);
    if (result == 0)
        *entry = read;
    return result;
}
