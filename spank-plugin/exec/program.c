#include "exec/program.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const DEFAULT_SEARCH = "/usr/local/bin:/usr/bin:/bin";

static bool is_program(const char *path) {
    struct stat info;
    if (stat(path, &info) != 0)
        return false;
    if (S_ISDIR(info.st_mode)) {
        errno = EACCES;
        return false;
    }
    return access(path, X_OK) == 0;
}

// Puts the next directory of the list, which may be empty for the working directory, before the name.
static bool next_candidate(const char **search, const char *name, char path[PATH_MAX]) {
    if (!*search)
        return false;
    int length = (int)strcspn(*search, ":");
    const char *slash = length > 0 ? "/" : "";
    int needed = snprintf(path, PATH_MAX, "%.*s%s%s", length, *search, slash, name);
    *search = (*search)[length] == ':' ? *search + length + 1 : NULL;
    if (needed >= PATH_MAX)
        path[0] = '\0';
    return true;
}

static int search_program(const char *name, const char *search, char path[PATH_MAX], struct error *err) {
    bool forbidden = false;
    for (const char *rest = search; next_candidate(&rest, name, path);) {
        if (is_program(path))
            return 0;
        forbidden |= errno == EACCES;
    }
    int failure = forbidden ? EACCES : ENOENT;
    error_set(err, "cannot execute %.200s: %s; PATH in the container is %s", name, strerror(failure), search);
    errno = failure;
    return -1;
}

static int too_long(const char *name, struct error *err) {
    error_set(err, "cannot execute %.200s…: %s", name, strerror(ENAMETOOLONG));
    errno = ENAMETOOLONG;
    return -1;
}

int program_name(const char *name, const char *broadcast, char full[PATH_MAX], struct error *err) {
    size_t length = strlen(name);
    bool is_directory = length > 0 && name[length - 1] == '/';
    int needed = snprintf(full, PATH_MAX, "%s%s", name, is_directory ? broadcast : "");
    return needed < PATH_MAX ? 0 : too_long(name, err);
}

int program_find(const char *name, const char *search, char path[PATH_MAX], struct error *err) {
    char found[PATH_MAX];
    if (!strchr(name, '/')) {
        if (search_program(name, search ? search : DEFAULT_SEARCH, found, err) != 0)
            return -1;
    } else if (snprintf(found, sizeof found, "%s", name) >= PATH_MAX) {
        return too_long(name, err);
    }
    memcpy(path, found, strlen(found) + 1);
    return 0;
}

int program_execute(const char *path, char *const argv[], char *const environment[], struct error *err) {
    execve(path, argv, environment);
    int failure = errno;
    if (failure == ENOENT && access(path, F_OK) == 0)
        error_set(err,
                  "cannot execute %s: the interpreter or dynamic loader that it names is not in the image",
                  path);
    else
        error_errno(err, "cannot execute %s", path);
    errno = failure;
    return -1;
}
