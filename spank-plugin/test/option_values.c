#include "option_values.h"
#include "tap.h"

#include <stdlib.h>

static struct option_values values;
static struct error err;

static int take(enum option_id id, const char *text) {
    return option_values_take(&values, id, text, "/here", &err);
}

static void check_adding_up(void) {
    ok(take(OPTION_MOUNT, "/a:/a") == 0 && take(OPTION_MOUNT, "./b:/b") == 0, "takes two mounts");
    is_text(values.text[OPTION_MOUNT], "/a:/a\n/here/b:/b", "and has both, with absolute sources");
    ok(take(OPTION_MOUNT, "/a:/a") == 0, "takes the first once more");
    is_text(values.text[OPTION_MOUNT], "/here/b:/b\n/a:/a", "which is then the last");
    ok(take(OPTION_MOUNT, "bad") == -1, "refuses what is no mount");
    is_text(values.text[OPTION_MOUNT], "/here/b:/b\n/a:/a", "and has what it had");

    struct option_values copy = {0};
    ok(option_values_take_lines(&copy, OPTION_MOUNT, values.text[OPTION_MOUNT], "/elsewhere", &err) == 0 &&
           option_values_difference(&copy, &values) == OPTION_COUNT,
       "the lines give the same again");
    take(OPTION_MOUNT, "/c");
    ok(option_values_difference(&copy, &values) == OPTION_MOUNT, "until there is one more");
    ok(option_values_take_lines(&copy, OPTION_MOUNT, "/x\n\n/y", "/", &err) == -1, "an empty line is none");
    option_values_clear(&copy);
    ok(!copy.text[OPTION_MOUNT], "is gone when cleared");
}

static void check_replacing(void) {
    ok(take(OPTION_WORKDIR, "/a") == 0 && take(OPTION_WORKDIR, "/b") == 0, "takes two directories");
    is_text(values.text[OPTION_WORKDIR], "/b", "and has the last");
    ok(take(OPTION_HOME, "1") == 0 && option_values_is_yes(&values, OPTION_HOME), "1 is yes");
    ok(take(OPTION_HOME, "False") == 0 && !option_values_is_yes(&values, OPTION_HOME), "False is no");
    is_text(values.text[OPTION_HOME], "no", "as it is handed on");
    ok(take(OPTION_HOME, "maybe") == -1, "maybe is neither");
    says(err.text, "--image-home: \"maybe\" is neither yes nor no", "and it says so");
    ok(take(OPTION_IMAGE, "ubuntu") == 0 && take(OPTION_PULL, "never") == 0, "takes an image");
    ok(take(OPTION_PULL, "often") == -1, "refuses another policy");
    ok(take(OPTION_SAVE, "x.tar") == 0, "takes a file");
    is_text(values.text[OPTION_SAVE], "/here/x.tar", "below its directory");
}

static void check_helper_options(void) {
    char **options = option_values_for_helper(&values);
    static const char *const WANTED[] = {"mount=/here/b:/b", "mount=/a:/a", "mount=/c",
                                         "workdir=/b",       "home=no",     "save=/here/x.tar"};
    size_t count = 0;
    for (; options[count] && count < sizeof WANTED / sizeof *WANTED; count++)
        is_text(options[count], WANTED[count], "is for the helper");
    ok(count == sizeof WANTED / sizeof *WANTED && !options[count], "and nothing else is");
    free(options);
}

static void check_any_text(void) {
    static char text[64 * 1024 + 1];
    static const enum option_id WITH_TEXT[] = {OPTION_PULL,   OPTION_MOUNT, OPTION_WORKDIR, OPTION_ENV,
                                               OPTION_DEVICE, OPTION_NAME,  OPTION_SAVE,    OPTION_UNSHARE};
    memset(text, 'a', sizeof text - 1);
    text[0] = '/';
    for (size_t i = 0; i < sizeof WITH_TEXT / sizeof *WITH_TEXT; i++) {
        const char *name = option_rules[WITH_TEXT[i]].name;
        ok(take(WITH_TEXT[i], "") == -1 && strstr(err.text, "needs a value"), "--%s needs a value", name);
        ok(take(WITH_TEXT[i], text) == -1 && strstr(err.text, "longer than 16383"), "--%s has a limit", name);
        ok(take(WITH_TEXT[i], "/a\nb") == -1 && strstr(err.text, "control"), "--%s is one line", name);
        ok(take(WITH_TEXT[i], "/a\xff") == -1 && strstr(err.text, "UTF-8"), "--%s is UTF-8", name);
        ok(strstr(err.text, name) != NULL, "and it is named");
    }
}

static void check_limits(void) {
    char text[5010];
    for (int i = 0; i < OPTION_PARTS_MAX; i++) {
        snprintf(text, sizeof text, "A%d=x", i);
        take(OPTION_ENV, text);
    }
    ok(take(OPTION_ENV, "A0=x") == 0, "takes as many as there may be");
    ok(take(OPTION_ENV, "B=x") == -1, "and no more");
    says(err.text, "--image-env is given more than 50 times", "and says so");
    option_values_drop(&values, OPTION_ENV);
    int taken = 0;
    for (; taken < 10; taken++) {
        snprintf(text, sizeof text, "A%d=%05000d", taken, 0);
        if (take(OPTION_ENV, text) != 0)
            break;
    }
    ok(taken == 3, "takes 16 KiB together");
    says(err.text, "--image-env: all values together are longer than 16383 bytes", "and says so");
}

static void check_variables(void) {
    char name[OPTION_VARIABLE_MAX];
    char *known[] = {"STOWAGE_IMAGE=x", "STOWAGE_IMAGE_MOUNT=/a", "STOWAGE_IMAGE_DIGEST=sha256:0",
                     "STOWAGE_IMAGES=x", NULL};
    ok(option_variables_check(known, "", &err) == 0, "knows the variables that there are");
    char *misspelled[] = {"STOWAGE_IMAGE=x", "STOWAGE_IMAGE_MOUNTS=/a", NULL};
    ok(option_variables_check(misspelled, "", &err) == -1, "refuses one that there is not");
    says(err.text, "no variable STOWAGE_IMAGE_MOUNTS; did you mean STOWAGE_IMAGE_MOUNT; correct or unset it",
         "and says which is meant");
    char *newer[] = {"SLURM_STOWAGE_IMAGE_PULL=never", "SLURM_STOWAGE_IMAGE_BRAND_NEW=1", NULL};
    ok(option_variables_check(newer, "SLURM_", &err) == -1, "refuses one of a newer release");
    says(err.text, "no variable SLURM_STOWAGE_IMAGE_BRAND_NEW", "and names it");
    option_variable(OPTION_SHOW_DIGEST, "SLURM_", name);
    is_text(name, "SLURM_STOWAGE_IMAGE_SHOW_DIGEST", "names the variable");
}

int main(void) {
    check_adding_up();
    check_replacing();
    check_helper_options();
    check_any_text();
    check_limits();
    check_variables();
    option_values_clear(&values);
    return tap_done();
}
