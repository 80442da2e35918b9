#include "plain_name.h"

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool is_plain_name(const char *text, size_t length, size_t max) {
    if (length == 0 || length > max || !is_word(text[0]))
        return false;
    for (size_t i = 1; i < length; i++) {
        if (!is_word(text[i]) && text[i] != '.' && text[i] != '-')
            return false;
    }
    return true;
}
