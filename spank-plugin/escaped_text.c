#include "escaped_text.h"

#include <string.h>

const char *escaped_end(const char *text, char separator) {
    while (*text && *text != separator)
        text += text[0] == '\\' && text[1] != '\0' ? 2 : 1;
    return text;
}

char *escaped_take(char **rest, char separator) {
    char *part = *rest;
    char *end = part + (escaped_end(part, separator) - part);
    *rest = *end ? end + 1 : NULL;
    *end = '\0';
    return part;
}

int escaped_resolve(char *part, struct error *err) {
    char *to = part;
    for (const char *at = part; *at; at++) {
        if (*at == '\\' && (*++at == '\0' || !strchr(",:\\", *at)))
            return error_set(
                err, "\"\\%.1s\" stands for nothing: a backslash goes before \",\" \":\" or \"\\\"", at);
        *to++ = *at;
    }
    *to = '\0';
    return 0;
}

void escaped_write(FILE *to, const char *text) {
    for (; *text; text++) {
        if (strchr(",:\\", *text))
            fputc('\\', to);
        fputc(*text, to);
    }
}
