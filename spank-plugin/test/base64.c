#include "enter/login/base64.h"
#include "tap.h"

static bool decodes(const char *text, const char *wanted, size_t length) {
    char bytes[64];
    return base64_decode(text, strlen(text), bytes) == (ssize_t)length && memcmp(bytes, wanted, length) == 0;
}

int main(void) {
    // RFC 4648, section 10.
    static const char *const VECTORS[][2] = {{"", ""},
                                             {"f", "Zg=="},
                                             {"fo", "Zm8="},
                                             {"foo", "Zm9v"},
                                             {"foob", "Zm9vYg=="},
                                             {"fooba", "Zm9vYmE="},
                                             {"foobar", "Zm9vYmFy"}};
    static const char *const WRONG[] = {"Z",     "Zg=",    "Zm9v=", "Zm9vY", "Z===", "=",       "====",
                                        "Zm 9v", "Zm9v\n", "Zm-v",  "Zm_v",  "Zg=a", "\xc3\xa4"};
    for (size_t i = 0; i < sizeof VECTORS / sizeof *VECTORS; i++) {
        char text[BASE64_SIZE(8)];
        base64_encode(VECTORS[i][0], strlen(VECTORS[i][0]), text);
        is_text(text, VECTORS[i][1], "encodes a vector of the RFC");
        ok(decodes(VECTORS[i][1], VECTORS[i][0], strlen(VECTORS[i][0])), "decodes '%s'", VECTORS[i][1]);
    }
    ok(decodes("Zg", "f", 1) && decodes("Zm8", "fo", 2), "decodes without padding");
    ok(decodes("AP/+", "\0\xff\xfe", 3), "decodes any bytes");
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        char bytes[64];
        ok(base64_decode(WRONG[i], strlen(WRONG[i]), bytes) == -1, "refuses wrong text %zu", i);
    }
    char bytes[8];
    ok(base64_decode("Zm\0v", 4, bytes) == -1, "refuses a NUL");
    return tap_done();
}
