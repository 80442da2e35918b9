#include "grpc_status.h"

#include <stdlib.h>

static int hex_value(uint8_t digit) {
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

void grpc_decode_message(char *out, size_t size, const uint8_t *text, size_t length) {
    size_t used = 0;
    for (size_t i = 0; i < length && used + 1 < size; i++) {
        int high = -1, low = -1;
        if (text[i] == '%' && i + 2 < length) {
            high = hex_value(text[i + 1]);
            low = hex_value(text[i + 2]);
        }
        if (high >= 0 && low >= 0) {
            out[used++] = (char)(high << 4 | low);
            i += 2;
        } else {
            out[used++] = (char)text[i];
        }
    }
    out[used] = '\0';
}

int grpc_parse_status(const char *text) {
    char *end;
    long status = strtol(text, &end, 10);
    return end != text && *end == '\0' && status >= 0 && status <= GRPC_STATUS_LAST ? (int)status
                                                                                    : GRPC_STATUS_UNKNOWN;
}
