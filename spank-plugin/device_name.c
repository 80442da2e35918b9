#include "device_name.h"
#include "cleanup.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

enum { SHOWN_MAX = 200 };

// Only what is named besides: no default of the site, no GPU that is not asked for.
static const char NONE[] = "none";

// Letters, digits and some others, which stand neither in front nor at the end.
static bool is_name(const char *text, const char *others, bool begins_with_letter) {
    size_t length = text ? strlen(text) : 0;
    if (length == 0 || !isalnum((unsigned char)text[0]) || !isalnum((unsigned char)text[length - 1]) ||
        (begins_with_letter && !isalpha((unsigned char)text[0])))
        return false;
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)text[i]) && !strchr(others, text[i]))
            return false;
    }
    return true;
}

static bool is_device(char *text) {
    char *rest = text;
    const char *vendor = strsep(&rest, "/");
    const char *class = rest ? strsep(&rest, "=") : NULL;
    return is_name(vendor, "_-.", true) && is_name(class, "_-.", true) && is_name(rest, "_-.:", false);
}

int device_names_check(const char *text, struct error *err) {
    cleanup_free char *copy = strdup(text);
    if (!copy)
        return error_errno(err, "--image-device");
    for (char *rest = copy, *name; (name = strsep(&rest, ","));) {
        size_t offset = (size_t)(name - copy), length = strlen(name);
        if (strcmp(name, NONE) != 0 && !is_device(name))
            return error_set(
                err,
                "--image-device: \"%.*s\" is no name of a CDI device; write vendor/class=name, for "
                "example nvidia.com/gpu=all, or none",
                (int)(length < SHOWN_MAX ? length : SHOWN_MAX), text + offset);
    }
    return 0;
}
