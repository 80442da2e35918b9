#include "netrc.h"
#include "enter/wiped_memory.h"
#include "registry_name.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    const char *at;
    // Room for the longest token.
    char *token;
    // A variable's value made it too long.
    bool overflowed;
};

struct entry {
    bool is_default;
    bool matches;
    bool has_command;
    char *username;
    char *password;
};

enum { TOKEN_MAX = 2 * LOGIN_PART_MAX };

static bool skip_to_token(struct reader *reader) {
    for (;;) {
        reader->at += strspn(reader->at, " \t\r\n");
        if (*reader->at != '#')
            return *reader->at != '\0';
        reader->at += strcspn(reader->at, "\n");
    }
}

// One token; in quotes it may hold blanks, with \ before a quote.
static void next_token(struct reader *reader) {
    size_t used = 0;
    bool quoted = *reader->at == '"';
    if (quoted)
        reader->at++;
    while (*reader->at && !(quoted ? *reader->at == '"' : isspace((unsigned char)*reader->at))) {
        if (quoted && *reader->at == '\\' && reader->at[1])
            reader->at++;
        if (used + 1 < TOKEN_MAX)
            reader->token[used++] = *reader->at;
        else
            reader->overflowed = true;
        reader->at++;
    }
    if (quoted && *reader->at == '"')
        reader->at++;
    reader->token[used] = '\0';
}

// The blanks before a value never end its line: a password may begin with '#'.
static bool next_value(struct reader *reader) {
    reader->at += strspn(reader->at, " \t\r\n");
    bool more = *reader->at != '\0';
    next_token(reader);
    return more;
}

static bool is_name(char letter, bool first) {
    return letter == '_' || isalpha((unsigned char)letter) || (!first && isdigit((unsigned char)letter));
}

// The variable that a '$' at `text` begins, or NULL; *length is that of what stands for it.
static const char *variable_at(const char *text, size_t *length) {
    char name[256];
    bool braced = text[1] == '{';
    const char *start = text + (braced ? 2 : 1), *end = start;
    while (is_name(*end, end == start))
        end++;
    size_t bytes = (size_t)(end - start);
    if (bytes == 0 || bytes >= sizeof name || (braced && *end != '}'))
        return NULL;
    memcpy(name, start, bytes);
    name[bytes] = '\0';
    *length = (size_t)(end - text) + braced;
    return getenv(name);
}

// A copy of the token with its variables replaced, or NULL.
static char *expand(const char *text) {
    char *expanded = malloc(TOKEN_MAX);
    size_t used = 0;
    while (expanded && *text) {
        size_t length = 1;
        const char *value = *text == '$' ? variable_at(text, &length) : NULL;
        const char *from = value ? value : text;
        size_t bytes = value ? strlen(value) : 1;
        if (!value)
            length = 1;
        if (used + bytes >= TOKEN_MAX) {
            wiped_free(expanded);
            return NULL;
        }
        memcpy(expanded + used, from, bytes);
        used += bytes;
        text += length;
    }
    if (expanded)
        expanded[used] = '\0';
    return expanded;
}

static void release(struct entry *entry) {
    wiped_free(entry->username);
    wiped_free(entry->password);
    *entry = (struct entry){0};
}

// Besides its own names, Docker Hub is known in such files by where it gives out tokens.
static bool is_machine(const char *registry, const char *machine) {
    return registry_is_called(registry, machine, strlen(machine)) ||
           (strcmp(registry, "docker.io") == 0 && strcasecmp(machine, "auth.docker.io") == 0);
}

// Whether the registry is on a port of that machine of which the file says nothing.
static bool is_on_machine(const char *registry, const char *machine) {
    size_t length = strlen(machine);
    return length > 0 && strncasecmp(registry, machine, length) == 0 && registry[length] == ':';
}

static void take_value(struct entry *entry, char **value, const char *token) {
    entry->has_command = entry->has_command || strstr(token, "$(") || strchr(token, '`');
    wiped_free(*value);
    *value = expand(token);
}

// A macro ends with an empty line.
static void skip_macro(struct reader *reader) {
    const char *end = strstr(reader->at, "\n\n");
    reader->at = end ? end : reader->at + strlen(reader->at);
}

// Reads what belongs to an entry, up to the next. False at the end of the text.
static bool read_entry(struct reader *reader, struct entry *entry) {
    while (skip_to_token(reader)) {
        const char *before = reader->at;
        next_token(reader);
        if (strcmp(reader->token, "machine") == 0 || strcmp(reader->token, "default") == 0) {
            reader->at = before;
            return true;
        }
        if (strcmp(reader->token, "login") == 0 && next_value(reader)) {
            take_value(entry, &entry->username, reader->token);
        } else if (strcmp(reader->token, "password") == 0 && next_value(reader)) {
            take_value(entry, &entry->password, reader->token);
        } else if (strcmp(reader->token, "account") == 0) {
            next_value(reader);
        } else if (strcmp(reader->token, "macdef") == 0) {
            skip_macro(reader);
        }
    }
    return false;
}

static int use(const struct entry *entry, struct login *login, struct error *problem) {
    if (entry->has_command)
        return error_set(problem, "has a command in place of a password, and Stowage executes none; log in "
                                  "with 'podman login' or write the password");
    if (!entry->username || !entry->password)
        return error_set(problem, "has an entry for the registry without login and password");
    return login_set_password(login, entry->username, strlen(entry->username), entry->password,
                              strlen(entry->password), problem) == 0
               ? 1
               : -1;
}

static int find(struct reader *reader, const char *registry, struct login *login, struct error *problem) {
    bool has_default = false, has_machine = false;
    bool more = skip_to_token(reader);
    while (more) {
        struct entry entry = {0};
        next_token(reader);
        if (strcmp(reader->token, "machine") == 0 && next_value(reader)) {
            entry.matches = is_machine(registry, reader->token);
            has_machine = has_machine || is_on_machine(registry, reader->token);
        } else if (strcmp(reader->token, "default") == 0)
            has_default = true;
        else if (strcmp(reader->token, "macdef") == 0)
            skip_macro(reader);
        else
            return error_set(problem, "is not in the format of netrc(5)");
        more = read_entry(reader, &entry);
        int result = entry.matches ? use(&entry, login, problem) : 0;
        release(&entry);
        if (result != 0)
            return result;
    }
    if (has_machine)
        return error_set(problem,
                         "has a login for the machine but not for that port of it; write "
                         "'machine %s' if it is meant for this registry too",
                         registry);
    if (has_default)
        return error_set(problem,
                         "has a login as 'default' only, which is sent to no registry; write "
                         "'machine %s' in front of it",
                         registry);
    return 0;
}

int netrc_find(const char *text, const char *registry, struct login *login, struct error *problem) {
    cleanup_wiped char *token = malloc(TOKEN_MAX);
    if (!token)
        return error_errno(problem, "cannot be held in memory");
    struct reader reader = {.at = text, .token = token};
    int result = find(&reader, registry, login, problem);
    return reader.overflowed ? error_set(problem, "has a word longer than %d bytes", TOKEN_MAX) : result;
}
