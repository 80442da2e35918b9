#include "pull_policy.h"
#include "tap.h"

int main(void) {
    static const char *const NAMES[] = {"missing", "always", "never"};
    static const char *const WRONG[] = {"", "Always", "newer", "missing ", "site", NULL};
    struct error err;
    enum pull_policy policy = PULL_OF_SITE;
    for (size_t i = 0; i < 3; i++) {
        ok(pull_policy_parse(NAMES[i], &policy, &err) == 0, "takes %s", NAMES[i]);
        is_text(pull_policy_name(policy), NAMES[i], "and says it again");
    }
    is_text(pull_policy_name(PULL_OF_SITE), "", "has no name for the site's policy");
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
        ok(pull_policy_parse(WRONG[i], &policy, &err) == -1 && policy == PULL_NEVER, "refuses '%s'",
           WRONG[i] ? WRONG[i] : "nothing");
    pull_policy_parse("often", &policy, &err);
    is_text(err.text, "--image-pull=often: there are missing, always and never", "says what there is");
    return tap_done();
}
