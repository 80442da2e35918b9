#include "image_source.h"
#include "plain_name.h"
#include "reference.h"
#include "utf8.h"

#include <stdbool.h>
#include <string.h>

enum { SHOWN_MAX = 300 };

static bool starts_with(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), wanted = strlen(end);
    return length > wanted && strcmp(text + length - wanted, end) == 0;
}

// Control characters, those of two bytes in UTF-8 included.
static bool has_control_characters(const char *text) {
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at < 0x20 || *at == 0x7f || (at[0] == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f))
            return true;
    }
    return false;
}

static bool is_path(const char *text) {
    return text[0] == '/' || text[0] == '~' || strcmp(text, ".") == 0 || strcmp(text, "..") == 0 ||
           starts_with(text, "./") || starts_with(text, "../");
}

// A bare name that is strange for an image and usual for a file.
static bool looks_like_file(const char *text) {
    static const char *const ENDINGS[] = {".sif", ".sqsh", ".squashfs", ".tgz", ".tar", ".cpio", ".cpio.gz"};
    if (strpbrk(text, "/:@#"))
        return false;
    for (size_t i = 0; i < sizeof ENDINGS / sizeof *ENDINGS; i++) {
        if (ends_with(text, ENDINGS[i]))
            return true;
    }
    const char *tar = strstr(text, ".tar.");
    return tar && tar > text && tar[strlen(".tar.")] != '\0';
}

// Both tags and paths may hold ':'. A layout's tag holds no '/', so the first ':' with none behind it ends
// the path; a name in a docker archive may, so there it is the first of all.
static void split(struct image_source *source) {
    const char *location = source->location;
    const char *slash = source->scheme == IMAGE_DOCKER_ARCHIVE ? NULL : strrchr(location, '/');
    const char *colon = source->scheme == IMAGE_PATH ? NULL : strchr(slash ? slash : location, ':');
    source->path_length = colon ? (size_t)(colon - location) : strlen(location);
    source->selector = colon ? colon + 1 : "";
}

static int check_local(const char *text, struct image_source *source, struct error *err) {
    const char *location = source->location;
    int scheme = (int)(location - text);
    split(source);
    if (!utf8_is_valid(text))
        return error_set(err, "--image: the path is not in UTF-8; rename the file, or make a link to it");
    if (scheme > 0 && starts_with(location, "//"))
        return error_set(err, "--image=%.*s: write '%.*s' without '//' behind it", SHOWN_MAX, text, scheme,
                         text);
    if (source->path_length == 0)
        return error_set(err, "--image=%.*s: the path is missing, as in %.*s/data/app", SHOWN_MAX, text,
                         scheme, text);
    if (scheme > 0 && ends_with(location, ":"))
        return error_set(err, "--image=%.*s: what should follow the last ':' is missing", SHOWN_MAX, text);
    if (scheme == 0 && location[strspn(location, location[0] == '~' ? "~./" : "./")] == '\0')
        return error_set(err,
                         "--image=%.*s: this is no image but a directory above others; name what is in it",
                         SHOWN_MAX, text);
    if (location[0] == '~' && location[1] != '/')
        return error_set(err,
                         "--image=%.*s: only '~/' stands for a home directory, your own; write the whole "
                         "path",
                         SHOWN_MAX, text);
    return 0;
}

static int check_environment(const char *name, struct error *err) {
    // The file of that name holds the user's defaults.
    if (strcmp(name, "config") == 0)
        return error_set(err,
                         "--image=@config: \"config\" cannot be the name of an environment; choose another");
    if (is_plain_name(name, strlen(name), ENVIRONMENT_NAME_MAX))
        return 0;
    return error_set(err,
                     "--image=@%.*s: this is no name of an environment; that has at most %d letters, digits, "
                     "'.', '_' and '-', and begins with a letter, digit or '_'",
                     SHOWN_MAX, name, ENVIRONMENT_NAME_MAX);
}

static int check_registry(const char *text, struct error *err) {
    if (text[0] == '.' || looks_like_file(text))
        return error_set(err, "--image=%.*s: write ./%.*s for a file of that name", SHOWN_MAX, text,
                         SHOWN_MAX, text);
    return reference_check(text, err);
}

int image_source_parse(const char *text, struct image_source *source, struct error *err) {
    static const struct {
        const char *prefix;
        enum image_scheme scheme;
    } SCHEMES[] = {
        {"oci:", IMAGE_OCI}, {"oci-archive:", IMAGE_OCI_ARCHIVE}, {"docker-archive:", IMAGE_DOCKER_ARCHIVE}};

    if (!text || text[0] == '\0')
        return error_set(err, "--image needs the name of an image, for example --image=ubuntu:24.04");
    if (strnlen(text, IMAGE_TEXT_MAX + 1) > IMAGE_TEXT_MAX)
        return error_set(err, "--image: the name is longer than %d bytes", IMAGE_TEXT_MAX);
    if (has_control_characters(text))
        return error_set(err, "--image: the name holds control characters");

    struct image_source parsed = {
        .scheme = is_path(text) ? IMAGE_PATH : IMAGE_REGISTRY, .location = text, .selector = ""};
    for (size_t i = 0; i < sizeof SCHEMES / sizeof *SCHEMES; i++) {
        if (starts_with(text, SCHEMES[i].prefix)) {
            parsed.scheme = SCHEMES[i].scheme;
            parsed.location = text + strlen(SCHEMES[i].prefix);
        }
    }
    int result;
    if (text[0] == '@') {
        parsed.scheme = IMAGE_ENVIRONMENT;
        parsed.location = text + 1;
        result = check_environment(parsed.location, err);
    } else {
        result =
            parsed.scheme == IMAGE_REGISTRY ? check_registry(text, err) : check_local(text, &parsed, err);
    }
    if (result == 0)
        *source = parsed;
    return result;
}
