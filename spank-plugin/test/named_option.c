#include "enter/named_option.h"
#include "tap.h"

static struct named_option option;
static struct error err;

static void check(const char *text, const char *name, enum named_mode mode) {
    option = (struct named_option){0};
    if (!ok(named_option_parse(text, &option, &err) == 0 && strcmp(option.name, name) == 0 &&
                option.mode == mode,
            "takes '%s'", text))
        printf("# name %s, mode %d\n", option.name, (int)option.mode);
}

static void check_refusal(const char *text, const char *reason) {
    option = (struct named_option){.name = "before", .mode = NAMED_EXEC};
    err.text[0] = '\0';
    int result = named_option_parse(text, &option, &err);
    if (!ok(result == -1 && strstr(err.text, reason) && strcmp(option.name, "before") == 0 &&
                option.mode == NAMED_EXEC,
            "refuses '%.40s' and leaves what was there", text))
        printf("# result %d: %s\n", result, err.text);
}

int main(void) {
    char longest[CONTAINER_NAME_MAX + 2];
    memset(longest, 'x', sizeof longest);
    longest[CONTAINER_NAME_MAX] = '\0';

    check("app", "app", NAMED_AUTO);
    check("app:auto", "app", NAMED_AUTO);
    check("app:create", "app", NAMED_CREATE);
    check("app:exec", "app", NAMED_EXEC);
    check("app:no_exec", "app", NAMED_NO_EXEC);
    check("a-b_c.d", "a-b_c.d", NAMED_AUTO);
    check(longest, longest, NAMED_AUTO);

    check_refusal("", "--image-name");
    check_refusal(":exec", "--image-name");
    check_refusal("app:", "--image-name");
    check_refusal("app:run", ":run");
    check_refusal("app:exec:exec", "--image-name");
    check_refusal("..", "--image-name");
    check_refusal("../x", "--image-name");
    check_refusal("a/b", "--image-name");
    check_refusal("a b", "--image-name");
    longest[CONTAINER_NAME_MAX] = 'x';
    char too_long[CONTAINER_NAME_MAX + 2];
    memcpy(too_long, longest, sizeof longest);
    too_long[CONTAINER_NAME_MAX + 1] = '\0';
    check_refusal(too_long, "--image-name");
    return tap_done();
}
