#include "compat_text.h"
#include "cleanup.h"

#include <string.h>

int compat_rewrite(const char *text, compat_writer *write, char **native, struct error *err) {
    cleanup_free char *copy = strdup(text);
    char *written = NULL;
    size_t size = 0;
    FILE *to = copy ? open_memstream(&written, &size) : NULL;
    if (!to)
        return error_errno(err, "cannot hold an option");
    int result = write(to, copy, err);
    if (fclose(to) != 0 && result == 0)
        result = error_errno(err, "cannot hold an option");
    if (result != 0) {
        free(written);
        return -1;
    }
    *native = written;
    return 0;
}

int compat_copy(const char *text, char **native, struct error *err) {
    char *copy = strdup(text);
    if (!copy)
        return error_errno(err, "cannot hold an option");
    *native = copy;
    return 0;
}
