#include "enter/options.h"
#include "tap.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)) - 1)
#define PARSE(options, err, ...)                                                                             \
    options_parse(options, COUNT(((char *[]){"stowage-enter", __VA_ARGS__, NULL})),                          \
                  (char *[]){"stowage-enter", __VA_ARGS__, NULL}, err)
#define NEEDED "--socket", "/s", "--trees", "/t", "--image", "app:1", "--lifeline", "77"

#define REFUSES(named, ...)                                                                                  \
    do {                                                                                                     \
        struct options untouched = {.socket = "untouched"};                                                  \
        struct error why = {""};                                                                             \
        bool refused = PARSE(&untouched, &why, __VA_ARGS__) == -1;                                           \
        if (!ok(refused && strstr(why.text, named) && strcmp(untouched.socket, "untouched") == 0,            \
                "refuses %s and names %s", #__VA_ARGS__, named))                                             \
            printf("# %s\n", why.text);                                                                      \
    } while (0)

int main(void) {
    struct options options;
    struct error err;

    ok(PARSE(&options, &err, NEEDED) == 0, "takes what is needed");
    is_text(options.socket, "/s", "reads --socket");
    is_text(options.trees, "/t", "reads --trees");
    is_text(options.image, "app:1", "reads --image");
    ok(options.lifeline == 77, "reads --lifeline");
    is_text(options.working_directory, "", "knows no working directory by default");
    ok(!options.shown_directory && !options.sweep && options.job_id == 0, "has nothing else by default");

    ok(PARSE(&options, &err, NEEDED, "--job", "12", "--step", "4294967291", "--chdir", "/w", "--show",
             "/d") == 0,
       "takes all that the plugin passes");
    ok(options.job_id == 12 && options.step_id == 0xfffffffb, "reads the ids of job and batch step");
    is_text(options.working_directory, "/w", "reads --chdir");
    is_text(options.shown_directory, "/d", "reads --show");
    ok(PARSE(&options, &err, NEEDED, "--chdir", "--sweep") == 0 && !options.sweep,
       "takes a directory that looks like an option as a directory");

    ok(options.pull == PULL_OF_SITE && !options.show_digest, "leaves pulling to the site by default");
    ok(PARSE(&options, &err, NEEDED, "--pull", "never", "--show-digest") == 0 && options.pull == PULL_NEVER &&
           options.show_digest,
       "takes what the user wants of pulling");
    is_text(options.environments, "/etc/stowage/environments", "knows where a site's environments are");
    ok(PARSE(&options, &err, NEEDED, "--environments", "/e") == 0, "takes another place for them");
    is_text(options.environments, "/e", "reads --environments");
    ok(PARSE(&options, &err, "--socket", "/s", "--trees", "/t", "--image", "app:1", "--job", "7",
             "--prefetch") == 0 &&
           options.prefetch,
       "takes --prefetch without a lifeline");
    ok(PARSE(&options, &err, "--login", "r.example", "--repository", "a/b") == 0, "takes --login alone");
    is_text(options.login, "r.example", "reads --login");
    is_text(options.repository, "a/b", "reads --repository");
    ok(PARSE(&options, &err, "--trees", "/t", "--sweep", "--job", "7") == 0 && options.job_id == 7,
       "takes a job to sweep after");

    ok(PARSE(&options, &err, "--trees", "/t", "--sweep") == 0 && options.sweep, "takes --sweep with --trees");
    ok(PARSE(&options, &err, "--version") == 0 && options.version, "takes --version alone");
    ok(PARSE(&options, &err, "--help") == 0 && options.help, "takes --help alone");

    REFUSES("--trees", "--sweep");
    REFUSES("--socket", "--trees", "/t");
    REFUSES("--lifeline", "--socket", "/s", "--trees", "/t", "--image", "app");
    REFUSES("--lifeline", NEEDED, "--lifeline", "0");
    REFUSES("--repository", "--login", "r.example");
    REFUSES("--job", "--socket", "/s", "--trees", "/t", "--image", "app:1", "--prefetch");
    REFUSES("--image-pull=often", NEEDED, "--pull", "often");
    REFUSES("--frobnicate", NEEDED, "--frobnicate");
    REFUSES("--image", "--socket", "/s", "--image");
    REFUSES("surplus", NEEDED, "surplus");
    REFUSES("'-1'", NEEDED, "--job", "-1");
    REFUSES("'-18446744073709551615'", NEEDED, "--job", "-18446744073709551615");
    REFUSES("'12x'", NEEDED, "--job", "12x");
    REFUSES("''", NEEDED, "--step", "");
    REFUSES("'4294967296'", NEEDED, "--step", "4294967296");
    REFUSES("'2147483648'", NEEDED, "--lifeline", "2147483648");
    REFUSES("'99999999999999999999999'", NEEDED, "--job", "99999999999999999999999");
    REFUSES("--environments", NEEDED, "--environments", "e");
    REFUSES("-x", NEEDED, "-x");
    return tap_done();
}
