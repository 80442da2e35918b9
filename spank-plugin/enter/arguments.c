#include "arguments.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void arguments_add(struct arguments *arguments, const char *format, ...) {
    char **grown = realloc(arguments->values, (arguments->count + 2) * sizeof *grown);
    if (!grown) {
        arguments->incomplete = true;
        return;
    }
    arguments->values = grown;
    va_list args;
    va_start(args, format);
    int made = vasprintf(&grown[arguments->count], format, args);
    va_end(args);
    if (made < 0)
        arguments->incomplete = true;
    else
        arguments->count++;
    grown[arguments->count] = NULL;
}

int arguments_check(const struct arguments *arguments, struct error *err) {
    if (!arguments->incomplete && arguments->values)
        return 0;
    errno = ENOMEM;
    return error_errno(err, "cannot hold a command line");
}

void arguments_release(struct arguments *arguments) {
    for (size_t i = 0; i < arguments->count; i++)
        free(arguments->values[i]);
    free(arguments->values);
    *arguments = (struct arguments){0};
}
