#include "enter/grpc_status.h"
#include "tap.h"

#include <string.h>

static void decodes(const char *encoded, const char *wanted, const char *claim) {
    char decoded[64];
    grpc_decode_message(decoded, sizeof decoded, (const uint8_t *)encoded, strlen(encoded));
    is_text(decoded, wanted, claim);
}

int main(void) {
    ok(grpc_parse_status("0") == GRPC_STATUS_OK, "reads OK");
    ok(grpc_parse_status("16") == GRPC_STATUS_LAST, "reads the last status there is");
    static const char *const none[] = {"", "ok", "5 ", "-1", "17", "4294967296", "99999999999999999999"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        ok(grpc_parse_status(none[i]) == GRPC_STATUS_UNKNOWN, "does not take '%s' for a status", none[i]);

    decodes("plain", "plain", "leaves plain text as it is");
    decodes("100%25 caf%C3%A9", "100% caf\xc3\xa9", "decodes percent signs and UTF-8");
    decodes("%41", "A", "decodes what ends the message");
    decodes("%4", "%4", "leaves half an escape as it is");
    decodes("%zz%", "%zz%", "leaves what is no escape as it is");

    char small[4];
    grpc_decode_message(small, sizeof small, (const uint8_t *)"abcdef", 6);
    is_text(small, "abc", "writes no more than there is room for");
    return tap_done();
}
