#include "enter/login/netrc.h"
#include "tap.h"

#include <stdlib.h>

static struct login login;
static struct error problem;

static void finds(const char *text, const char *registry, const char *username, const char *password) {
    login_release(&login);
    problem.text[0] = '\0';
    int found = netrc_find(text, registry, &login, &problem);
    if (!ok(found == 1 && strcmp(login.username, username) == 0 && strcmp(login.password, password) == 0,
            "finds %s for %s", username, registry))
        printf("# returned %d, %s, %s, %s\n", found, login.username, login.password, problem.text);
}

static void finds_nothing(const char *text, const char *registry, const char *claim) {
    login_release(&login);
    ok(netrc_find(text, registry, &login, &problem) == 0 && !login_is_there(&login), "%s", claim);
}

static void refuses_for(const char *registry, const char *text, const char *why) {
    login_release(&login);
    int found = netrc_find(text, registry, &login, &problem);
    if (!ok(found == -1 && strstr(problem.text, why) && !strstr(problem.text, "secret"),
            "refuses %.60s for %s", text, registry))
        printf("# returned %d: %s\n", found, problem.text);
}

static void refuses(const char *text, const char *why) {
    refuses_for("r.example", text, why);
}

int main(void) {
    static const char TWO[] =
        "machine one.example login a password b\nmachine r.example\n\tlogin c\n\tpassword d\n";
    unsetenv("oauthtoken");
    setenv("TOKEN", "from the environment", 1);
    setenv("EMPTY", "", 1);

    finds(TWO, "one.example", "a", "b");
    finds(TWO, "r.example", "c", "d");
    refuses_for("r.example:5000", "machine r.example login a password secret",
                "write 'machine r.example:5000' if");
    finds("machine r.example login x password y machine R.example:5000 login a password b", "r.example:5000",
          "a", "b");
    finds_nothing("machine r.example:5000 login a password b", "r.example", "a port is not the usual one");
    finds_nothing("machine r.example:50 login a password b", "r.example:5000", "nor the start of another");
    finds_nothing(TWO, "example", "a part of the name is not the name");
    finds_nothing("machine \"\" login a password b", ":5000", "no name is no name");
    finds_nothing("", "r.example", "finds nothing in an empty file");
    finds("machine r.example:5000 login a password b", "r.example:5000", "a", "b");
    finds("machine r.example login a password b machine r.example login c password d", "r.example", "a", "b");
    finds("# machine r.example login x password y\nmachine r.example login a password #b # c\n", "r.example",
          "a", "#b");
    finds("machine r.example login \"a b\" password \"c \\\" d\"", "r.example", "a b", "c \" d");
    finds_nothing("macdef init\nmachine r.example login x password y\n\n", "r.example",
                  "skips a macro at the start");
    finds("machine r.example account x login a password b", "r.example", "a", "b");
    finds("machine auth.docker.io login a password b", "docker.io", "a", "b");
    finds("machine registry-1.docker.io login a password b", "docker.io", "a", "b");
    finds_nothing("machine auth.docker.io login a password b", "r.example",
                  "Docker Hub is no other registry");

    finds("machine nvcr.io login $oauthtoken password $TOKEN", "nvcr.io", "$oauthtoken",
          "from the environment");
    finds("machine nvcr.io login ${TOKEN}x password a$EMPTY${EMPTY}b", "nvcr.io", "from the environmentx",
          "ab");
    finds("machine nvcr.io login a password p$ss$1${x$", "nvcr.io", "a", "p$ss$1${x$");

    refuses("machine r.example login a password $(cat secret)", "executes none");
    refuses("machine r.example login a password `cat secret`", "executes none");
    finds_nothing("machine other login a password $(cat /etc/passwd)", "r.example",
                  "does not mind others' commands");
    refuses("machine r.example login secret", "without login and password");
    refuses("machine r.example password", "without login and password");
    refuses("default login a password secret", "sent to no registry");
    finds("default login x password y machine r.example login a password b", "r.example", "a", "b");
    refuses("{\"auths\":{}}", "not in the format");
    refuses("machine r.example login \xff password secret", "not text");

    enum { LONG = 300 * 1024 };
    char *text = malloc(LONG + 100);
    int used = sprintf(text, "machine r.example login a password ");
    memset(text + used, 'x', LONG);
    text[used + LONG] = '\0';
    refuses(text, "longer than");
    text[used + 70 * 1024] = '\0';
    refuses(text, "longer than 65536");
    free(text);
    login_release(&login);
    return tap_done();
}
