#include "base64.h"

#include <stdint.h>
#include <string.h>

static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(const void *bytes, size_t length, char *text) {
    const uint8_t *at = bytes;
    for (; length > 0; at += 3) {
        size_t taken = length < 3 ? length : 3;
        uint32_t group =
            (uint32_t)at[0] << 16 | (taken > 1 ? (uint32_t)at[1] << 8 : 0) | (taken > 2 ? at[2] : 0u);
        for (size_t i = 0; i < 4; i++)
            *text++ = i > taken ? '=' : DIGITS[group >> (18 - 6 * i) & 63];
        length -= taken;
    }
    *text = '\0';
}

ssize_t base64_decode(const char *text, size_t length, char *bytes) {
    size_t digits = length;
    while (digits > 0 && length - digits < 2 && text[digits - 1] == '=')
        digits--;
    // Padding, if there is any, fills up a group of four.
    if (digits % 4 == 1 || (digits != length && length % 4 != 0))
        return -1;
    size_t made = 0;
    uint32_t group = 0;
    for (size_t i = 0; i < digits; i++) {
        const char *digit = text[i] ? strchr(DIGITS, text[i]) : NULL;
        if (!digit)
            return -1;
        group = group << 6 | (uint32_t)(digit - DIGITS);
        if (i % 4 > 0)
            bytes[made++] = (char)(group >> (6 - 2 * (i % 4)));
    }
    return (ssize_t)made;
}
