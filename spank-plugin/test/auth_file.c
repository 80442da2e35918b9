#include "enter/login/auth_file.h"
#include "enter/login/registry_name.h"
#include "tap.h"

#include <stdlib.h>

// base64 of "user:pass"
#define AUTH "\"dXNlcjpwYXNz\""

static struct auth_file_entry entry;
static struct error problem;

static int find(const char *text, const char *registry, const char *repository) {
    login_release(&entry.login);
    entry = (struct auth_file_entry){.program = "untouched"};
    problem.text[0] = '\0';
    return auth_file_find(text, strlen(text), registry, repository, &entry, &problem);
}

static void finds(const char *text, const char *registry, const char *repository, const char *name) {
    bool found = find(text, registry, repository) == 0;
    const char *got = found && entry.login.username ? entry.login.username : "";
    if (!ok(found && strcmp(got, name) == 0, "finds '%s' for %s/%s", name, registry, repository))
        printf("# got '%s', %s\n# in %s\n", got, problem.text, text);
}

static void refuses(const char *text, const char *why) {
    bool refused = find(text, "r.example", "a/b") == -1;
    if (!ok(refused && strstr(problem.text, why) && strcmp(entry.program, "untouched") == 0 &&
                !strstr(problem.text, "secret"),
            "refuses %.*s", (int)strcspn(text, "\n") % 60, text))
        printf("# got: %s\n", problem.text);
}

// An auths object in which the user name of each entry is told by its key.
#define NAMED(key, name) "\"" key "\":{\"username\":\"" name "\",\"password\":\"p\"}"

static void matches(void) {
    static const char SCOPED[] =
        "{\"auths\":{" NAMED("r.example", "host") "," NAMED("r.example/a", "namespace") "," NAMED(
            "r.example/a/b", "repository") "," NAMED("https://r.example/v1/", "address") "}}";
    finds(SCOPED, "r.example", "a/b", "repository");
    finds(SCOPED, "r.example", "a/b/c", "repository");
    finds(SCOPED, "r.example", "a/bc", "namespace");
    finds(SCOPED, "r.example", "ab", "host");
    finds(SCOPED, "r.example:5000", "a/b", "");
    finds(SCOPED, "xr.example", "a/b", "");
    finds(SCOPED, "R.EXAMPLE", "x", "host");
    static const char *const ADDRESSES[] = {
        "https://r.example", "http://r.example/", "https://r.example/v2/",
        "r.example/v1/",     "r.example/",        "https://r.example/a/b"};
    for (size_t i = 0; i < sizeof ADDRESSES / sizeof *ADDRESSES; i++)
        ok(registry_key_fit(ADDRESSES[i], "r.example", "x/y") == 1, "takes %s for the host", ADDRESSES[i]);
    ok(registry_key_fit("r.example/v1", "r.example", "x/y") == 0, "takes r.example/v1 for a namespace");
    ok(registry_key_fit("https://r.example:443", "r.example", "x") == 1, "knows the port of https");
    ok(registry_key_fit("https://r.example:80", "r.example", "x") == 0, "does not guess ports");
    ok(registry_key_fit("", "r.example", "x") == 0 && registry_key_fit("/", "r.example", "x") == 0,
       "takes an empty key for nothing");
    static const char *const HUB[] = {"https://index.docker.io/v1/", "docker.io", "index.docker.io",
                                      "registry-1.docker.io", "https://registry-1.docker.io/v2/"};
    for (size_t i = 0; i < sizeof HUB / sizeof *HUB; i++) {
        ok(registry_key_fit(HUB[i], "docker.io", "library/ubuntu") > 0, "takes %s for Docker Hub", HUB[i]);
        ok(registry_key_fit(HUB[i], "r.example", "library/ubuntu") == 0, "and for nothing else");
    }
    ok(registry_key_fit("docker.io/library", "docker.io", "library/ubuntu") >
           registry_key_fit("docker.io", "docker.io", "library/ubuntu"),
       "prefers a namespace of Docker Hub");
}

static void reads_logins(void) {
    ok(find("{\"auths\":{\"r.example\":{\"auth\":" AUTH "}}}", "r.example", "a") == 0 &&
           strcmp(entry.login.username, "user") == 0 && strcmp(entry.login.password, "pass") == 0,
       "reads auth");
    // "u:p:q" and "u:p\0\0"
    ok(find("{\"auths\":{\"r.example\":{\"auth\":\"dTpwOnE=\"}}}", "r.example", "a") == 0 &&
           strcmp(entry.login.username, "u") == 0 && strcmp(entry.login.password, "p:q") == 0,
       "splits at the first colon");
    ok(find("{\"auths\":{\"r.example\":{\"auth\":\"dTpwAAA=\"}}}", "r.example", "a") == 0 &&
           entry.login.password_bytes == 1,
       "takes off the NULs at the end");
    ok(find("{\"auths\":{\"r.example\":{\"auth\":" AUTH ",\"identitytoken\":\"t\"}}}", "r.example", "a") ==
               0 &&
           strcmp(entry.login.identity_token, "t") == 0 && !entry.login.username,
       "prefers an identity token");
    ok(find("{\"auths\":{\"r.example\":{\"auth\":\"\",\"username\":\"n\",\"password\":\"\"}}}", "r.example",
            "a") == 0 &&
           strcmp(entry.login.username, "n") == 0 && entry.login.password_bytes == 0,
       "reads a name with an empty password");
    finds("{\"auths\":{\"r.example/a\":{}," NAMED("r.example", "host") "}}", "r.example", "a/b", "host");
    finds("{\"auths\":{\"other\":{\"auth\":7}," NAMED("r.example", "host") "}}", "r.example", "a", "host");
    finds("{}", "r.example", "a", "");
    finds("{\"auths\":null}", "r.example", "a", "");
    finds("{\"HttpHeaders\":{\"a\":[1,{}]},\"auths\":{}}", "r.example", "a", "");
}

static void reads_programs(void) {
    ok(find("{\"credsStore\":\"pass\"}", "r.example", "a") == 0 && strcmp(entry.program, "pass") == 0,
       "reads credsStore");
    ok(find("{\"credsStore\":\"pass\",\"credHelpers\":{\"r.example\":\"ecr-login\"}}", "r.example", "a") ==
               0 &&
           strcmp(entry.program, "ecr-login") == 0,
       "prefers credHelpers");
    ok(find("{\"credsStore\":\"pass\",\"credHelpers\":{\"r.example\":\"\"}}", "r.example", "a") == 0 &&
           entry.program[0] == '\0',
       "lets credHelpers say that there is none");
    ok(find("{\"credHelpers\":{\"https://index.docker.io/v1/\":\"x\"}}", "docker.io", "a") == 0 &&
           strcmp(entry.program, "x") == 0,
       "knows Docker Hub's address in credHelpers");
    ok(find("{\"credHelpers\":{\"other\":7}}", "r.example", "a") == 0, "does not mind other registries");
}

static void refuses_nonsense(void) {
    refuses("", "is not JSON, in line");
    refuses("\"secret\"", "is not JSON, in line 1");
    refuses("[]", "is not a JSON object");
    refuses("{\"auths\":{\"r.example\":{\"auth\":secret}}}", "is not JSON, in line 1");
    refuses("{\"auths\":{}}\nsecret", "is not JSON, in line 2");
    refuses("{\"auths\":{},\"auths\":{}}", "has a name twice");
    refuses("{\"auths\":[]}", "'auths' that is not an object");
    refuses("{\"auths\":{\"r.example\":\"secret\"}}", "is not an object");
    refuses("{\"auths\":{\"r.example\":{\"auth\":7}}}", "'auth' that is not a string");
    refuses("{\"auths\":{\"r.example\":{\"auth\":\"secret!\"}}}", "is not base64");
    refuses("{\"auths\":{\"r.example\":{\"auth\":\"c2VjcmV0\"}}}", "with a colon between");
    refuses("{\"auths\":{\"r.example\":{\"auth\":\"/zpz\"}}}", "not text");
    refuses("{\"auths\":{\"r.example\":{\"auth\":\"YQBiOnA=\"}}}", "not text");
    refuses("{\"auths\":{\"r.example\":{\"username\":\"a\\u0000b\",\"password\":\"secret\"}}}",
            "is not JSON");
    refuses("{\"auths\":{\"r.example\":{\"username\":{},\"password\":\"secret\"}}}", "'username'");
    refuses("{\"credsStore\":{}}", "'credsStore'");
    refuses("{\"credsStore\":\"../../tmp/x\"}", "cannot be its name");
    refuses("{\"credsStore\":\"a b\"}", "cannot be its name");
    refuses("{\"credHelpers\":{\"r.example\":{}}}", "not a string");
    refuses("{\"credHelpers\":7}", "'credHelpers'");

    enum { DEEP = 100000 };
    char *text = malloc(2 * DEEP + 1);
    memset(text, '[', DEEP);
    memset(text + DEEP, ']', DEEP);
    text[2 * DEEP] = '\0';
    refuses(text, "is not JSON");
    free(text);
    char nul[] = "{\"auths\":{}}\0{}";
    ok(auth_file_find(nul, sizeof nul - 1, "r.example", "a", &entry, &problem) == -1,
       "refuses a NUL and what follows it");

    enum { LONG = 70 * 1024 };
    char *large = malloc(LONG + 200);
    int used = sprintf(large, "{\"auths\":{\"r.example\":{\"identitytoken\":\"");
    memset(large + used, 't', LONG);
    strcpy(large + used + LONG, "\"}}}");
    refuses(large, "longer than 65536 bytes");
    free(large);
    entry.login = (struct login){0};
}

int main(void) {
    matches();
    reads_logins();
    reads_programs();
    refuses_nonsense();
    return tap_done();
}
