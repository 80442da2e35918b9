#include "save_path.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_MAX = 200 };

static bool has_format(const char *file) {
    static const char *const ENDINGS[] = {".sqsh", ".squashfs", ".tar"};
    for (size_t i = 0; i < sizeof ENDINGS / sizeof *ENDINGS; i++) {
        size_t length = strlen(file), ending = strlen(ENDINGS[i]);
        if (length > ending && strcmp(file + length - ending, ENDINGS[i]) == 0)
            return true;
    }
    return false;
}

int save_path_check(const char *text, struct error *err) {
    const char *slash = strrchr(text, '/');
    if (strlen(text) >= PATH_MAX)
        return error_set(err, "--image-save: the path is longer than %d bytes", PATH_MAX - 1);
    if (text[0] == '~' && text[1] != '/')
        return error_set(err,
                         "--image-save=%.*s: only \"~/\" stands for a home directory, your own; write the "
                         "path in full",
                         SHOWN_MAX, text);
    if (!has_format(slash ? slash + 1 : text))
        return error_set(err,
                         "--image-save=%.*s: the name of the file tells its format; let it end in .sqsh or "
                         ".squashfs (squashfs) or in .tar (OCI archive)",
                         SHOWN_MAX, text);
    return 0;
}

int save_path_anchor(const char *text, const char *directory, char **anchored, struct error *err) {
    bool relative = text[0] != '/' && text[0] != '~';
    char *path = NULL;
    if (asprintf(&path, "%s%s%s", relative ? directory : "", relative ? "/" : "", text) < 0)
        return error_errno(err, "--image-save");
    *anchored = path;
    return 0;
}
