#include "error.h"
#include "tap.h"

#include <errno.h>

int main(void) {
    struct error err;

    ok(error_set(&err, "no room for %d", 3) == -1, "error_set returns -1");
    is_text(err.text, "no room for 3", "error_set formats");

    errno = ENOENT;
    ok(error_errno(&err, "cannot open %s", "/x") == -1, "error_errno returns -1");
    is_text(err.text, "cannot open /x: No such file or directory", "error_errno adds what errno means");

    ok(error_wrap(&err, "image %s", "app") == -1, "error_wrap returns -1");
    is_text(err.text, "image app: cannot open /x: No such file or directory",
            "error_wrap puts itself in front");

    error_set(&err, "%s", "a\nb\033[2Jc\177d\te");
    is_text(err.text, "a?b?[2Jc?d?e", "newlines and escape sequences do not reach a terminal");
    error_set(&err, "%s", "M\303\274ller \346\274\242");
    is_text(err.text, "M\303\274ller \346\274\242", "letters beyond ASCII stay");
    error_set(&err, "safe");
    error_wrap(&err, "%s", "\r");
    is_text(err.text, "?: safe", "error_wrap takes control characters out as well");
    error_set(&err, "%s", "%s%n");
    is_text(err.text, "%s%n", "a percent sign in an argument is text");

    static char large[3 * ERROR_TEXT_MAX];
    memset(large, 'x', sizeof large - 1);
    error_set(&err, "%s", large);
    ok(strlen(err.text) == ERROR_TEXT_MAX - 1, "a long sentence is cut");
    errno = EIO;
    error_errno(&err, "%s", large);
    ok(strlen(err.text) == ERROR_TEXT_MAX - 1, "a long sentence with errno is cut");
    error_set(&err, "the reason");
    error_wrap(&err, "%s", large);
    ok(strlen(err.text) == ERROR_TEXT_MAX - 1, "a long wrapping is cut");
    for (int i = 0; i < 1000; i++)
        error_wrap(&err, "again");
    ok(strlen(err.text) == ERROR_TEXT_MAX - 1, "a thousand wrappings are cut");
    return tap_done();
}
