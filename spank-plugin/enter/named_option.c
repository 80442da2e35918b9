#include "named_option.h"

#include <stdio.h>
#include <string.h>

static int parse_mode(const char *text, enum named_mode *mode) {
    static const char *const MODES[] = {
        [NAMED_AUTO] = "auto", [NAMED_CREATE] = "create", [NAMED_EXEC] = "exec", [NAMED_NO_EXEC] = "no_exec"};
    for (size_t i = 0; i < sizeof MODES / sizeof *MODES; i++) {
        if (strcmp(text, MODES[i]) == 0) {
            *mode = (enum named_mode)i;
            return 0;
        }
    }
    return -1;
}

int named_option_parse(const char *text, struct named_option *option, struct error *err) {
    struct named_option parsed = {.mode = NAMED_AUTO};
    size_t length = strcspn(text, ":");
    if (container_name_check(text, err) != 0)
        return -1;
    if (text[length] == ':' && parse_mode(text + length + 1, &parsed.mode) != 0)
        return error_set(err, "--image-name: '%.100s' is unknown", text + length);
    snprintf(parsed.name, sizeof parsed.name, "%.*s", (int)length, text);
    *option = parsed;
    return 0;
}
