#include "reference.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { NAME_MAX_BYTES = 255, TAG_MAX_BYTES = 128, SHOWN_MAX = 300, PORT_MAX = 65535 };

static bool is_lower(char c) {
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}

static bool is_alphanumeric(char c) {
    return is_lower(c) || is_upper(c) || is_digit(c);
}

static bool is_printable_ascii(const char *text) {
    for (; *text; text++) {
        if (*text <= 0x20 || *text > 0x7e)
            return false;
    }
    return true;
}

// One or two '_', one '.', or any number of '-': what may stand between the runs of a path component.
// Returns the length of such a separator at text, 0 if there is none.
static size_t separator_length(const char *text, size_t length) {
    if (length == 0)
        return 0;
    if (text[0] == '.')
        return 1;
    if (text[0] == '_')
        return length > 1 && text[1] == '_' ? 2 : 1;
    size_t dashes = 0;
    while (dashes < length && text[dashes] == '-')
        dashes++;
    return dashes;
}

static bool is_path_component(const char *text, size_t length) {
    size_t at = 0;
    for (;;) {
        size_t run = at;
        while (at < length && (is_lower(text[at]) || is_digit(text[at])))
            at++;
        if (at == run)
            return false;
        if (at == length)
            return true;
        size_t separator = separator_length(text + at, length - at);
        if (separator == 0)
            return false;
        at += separator;
    }
}

static bool is_host_label(const char *text, size_t length) {
    if (length == 0 || text[0] == '-' || text[length - 1] == '-')
        return false;
    for (size_t i = 0; i < length; i++) {
        if (!is_alphanumeric(text[i]) && text[i] != '-')
            return false;
    }
    return true;
}

static bool is_port(const char *text, size_t length) {
    if (length == 0 || length > 5)
        return false;
    long port = 0;
    for (size_t i = 0; i < length; i++) {
        if (!is_digit(text[i]))
            return false;
        port = port * 10 + (text[i] - '0');
    }
    return port >= 1 && port <= PORT_MAX;
}

// "host", "host.name", "host:5000", "[::1]:5000"
static bool is_registry(const char *text, size_t length) {
    const char *end = text + length;
    const char *colon;
    if (text[0] == '[') {
        const char *close = memchr(text, ']', length);
        if (!close || close == text + 1)
            return false;
        for (const char *at = text + 1; at < close; at++) {
            if (!is_digit(*at) && !strchr("abcdefABCDEF:", *at))
                return false;
        }
        if (close + 1 == end)
            return true;
        colon = close + 1;
        return *colon == ':' && is_port(colon + 1, (size_t)(end - colon - 1));
    }
    colon = memchr(text, ':', length);
    if (colon && !is_port(colon + 1, (size_t)(end - colon - 1)))
        return false;
    const char *host_end = colon ? colon : end;
    for (const char *label = text;;) {
        const char *dot = memchr(label, '.', (size_t)(host_end - label));
        const char *label_end = dot ? dot : host_end;
        if (!is_host_label(label, (size_t)(label_end - label)))
            return false;
        if (!dot)
            return true;
        label = dot + 1;
    }
}

// The first component names a registry if it could not be part of a path on the default one.
static bool looks_like_registry(const char *text, size_t length) {
    if (length == strlen("localhost") && memcmp(text, "localhost", length) == 0)
        return true;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '.' || text[i] == ':' || text[i] == '[' || is_upper(text[i]))
            return true;
    }
    return false;
}

static bool is_digest(const char *text) {
    size_t algorithm = strcspn(text, ":");
    if (text[algorithm] != ':')
        return false;
    const char *hex = text + algorithm + 1;
    size_t wanted = 0;
    if (algorithm == 6 && memcmp(text, "sha256", 6) == 0)
        wanted = 64;
    if (algorithm == 6 && memcmp(text, "sha512", 6) == 0)
        wanted = 128;
    return wanted > 0 && strlen(hex) == wanted && strspn(hex, "0123456789abcdef") == wanted;
}

static int check_tag(const char *tag, size_t length, const char *shown, struct error *err) {
    bool good = length > 0 && length <= TAG_MAX_BYTES && (is_alphanumeric(tag[0]) || tag[0] == '_');
    for (size_t i = 1; good && i < length; i++)
        good = is_alphanumeric(tag[i]) || tag[i] == '_' || tag[i] == '.' || tag[i] == '-';
    if (good)
        return 0;
    return error_set(err,
                     "--image=%s: '%.*s' is not a tag; a tag is up to 128 letters, digits, '_', '.' and '-', "
                     "and starts with a letter, digit or '_'",
                     shown, (int)(length < SHOWN_MAX ? length : SHOWN_MAX), tag);
}

static int check_path(const char *path, size_t length, const char *shown, struct error *err) {
    const char *end = path + length;
    for (const char *component = path;;) {
        const char *slash = memchr(component, '/', (size_t)(end - component));
        const char *component_end = slash ? slash : end;
        if (!is_path_component(component, (size_t)(component_end - component))) {
            return error_set(
                err,
                "--image=%s: '%.*s' cannot be part of an image's name; use lower-case letters and "
                "digits, with '.', '_' or '-' between them",
                shown, (int)(component_end - component), component);
        }
        if (!slash)
            return 0;
        component = slash + 1;
    }
}

// "REGISTRY#REPOSITORY" of enroot and pyxis, which says where the registry ends. Writes it the usual way.
static const char *split_at_hash(const char *text, char copy[REFERENCE_MAX + 1], bool *with_registry) {
    const char *hash = text + strcspn(text, "/#");
    *with_registry = *hash == '#';
    if (!*with_registry)
        return text;
    memcpy(copy, text, strlen(text) + 1);
    copy[hash - text] = '/';
    return copy;
}

int reference_check(const char *text, struct error *err) {
    if (strnlen(text, REFERENCE_MAX + 1) > REFERENCE_MAX)
        return error_set(err, "--image: the name is longer than %d bytes", REFERENCE_MAX);
    if (!is_printable_ascii(text))
        return error_set(err, "--image: the name holds spaces, control or non-ASCII characters");

    // As much of it as leaves room for the reason.
    char shown[SHOWN_MAX];
    snprintf(shown, sizeof shown, "%s", text);
    if (strncmp(text, "docker://", 9) == 0)
        text += 9;
    else if (strncmp(text, "docker:", 7) == 0)
        text += 7;
    // Not the whole name, which may go on with a password.
    if (strstr(text, "://"))
        return error_set(err, "--image: '%.*s://' is not known here; leave it out, or write docker://",
                         (int)strcspn(shown, ":"), shown);
    char copy[REFERENCE_MAX + 1];
    bool with_registry;
    text = split_at_hash(text, copy, &with_registry);

    const char *at_sign = strchr(text, '@');
    const char *first_slash = strchr(text, '/');
    if (at_sign && (first_slash ? at_sign < first_slash
                                : memchr(text, ':', (size_t)(at_sign - text)) && !strchr(at_sign, ':')))
        return error_set(err, "--image: a user name or password does not belong into an image's name, where "
                              "others can see it; leave it out, and log in with 'podman login' instead");
    if (at_sign && !is_digest(at_sign + 1))
        return error_set(err,
                         "--image: after '@' a digest is expected: sha256: and 64 lower-case hex digits");

    const char *name_end = at_sign ? at_sign : text + strlen(text);
    const char *last_slash = memrchr(text, '/', (size_t)(name_end - text));
    const char *last = last_slash ? last_slash + 1 : text;
    const char *colon = memchr(last, ':', (size_t)(name_end - last));
    if (colon) {
        if (check_tag(colon + 1, (size_t)(name_end - colon - 1), shown, err) != 0)
            return -1;
        name_end = colon;
    }

    size_t name_length = (size_t)(name_end - text);
    if (name_length > NAME_MAX_BYTES)
        return error_set(err, "--image=%s: the name without tag is longer than %d bytes", shown,
                         NAME_MAX_BYTES);
    const char *slash = memchr(text, '/', name_length);
    if (slash && (with_registry || looks_like_registry(text, (size_t)(slash - text)))) {
        if (!is_registry(text, (size_t)(slash - text)))
            return error_set(err, "--image=%s: '%.*s' is not the name of a registry (host or host:port)",
                             shown, (int)(slash - text), text);
        text = slash + 1;
    } else if (name_length == 64 && strspn(text, "0123456789abcdef") >= name_length)
        return error_set(err,
                         "--image=%s: 64 hex digits are an image's id; name the image, or write "
                         "name@sha256:...",
                         shown);
    return check_path(text, (size_t)(name_end - text), shown, err);
}
