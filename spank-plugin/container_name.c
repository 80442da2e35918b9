#include "container_name.h"
#include "plain_name.h"

#include <stdbool.h>
#include <string.h>

static bool is_way(const char *text) {
    static const char *const WAYS[] = {"auto", "create", "exec", "no_exec"};
    for (size_t i = 0; i < sizeof WAYS / sizeof *WAYS; i++) {
        if (strcmp(text, WAYS[i]) == 0)
            return true;
    }
    return false;
}

int container_name_check(const char *text, struct error *err) {
    size_t length = strcspn(text, ":");
    if (!is_plain_name(text, length, CONTAINER_NAME_MAX))
        return error_set(
            err,
            "--image-name: \"%.*s\" is no name of a container; that has at most %d letters, digits, "
            "\".\", \"_\" and \"-\", and begins with a letter, digit or \"_\"",
            (int)(length < 200 ? length : 200), text, CONTAINER_NAME_MAX);
    if (text[length] == ':' && !is_way(text + length + 1))
        return error_set(
            err,
            "--image-name: \"%.100s\" is unknown; behind the name there are :auto (default), :create, "
            ":exec and :no_exec",
            text + length);
    return 0;
}
