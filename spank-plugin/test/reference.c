#include "reference.h"
#include "tap.h"

#include <stdlib.h>

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SHA256 "sha256:" HEX64
#define TEN "aaaaaaaaaa"
#define FIFTY TEN TEN TEN TEN TEN
#define NAME255 FIFTY FIFTY FIFTY FIFTY FIFTY "aaaaa"
#define TAG128 FIFTY FIFTY TEN TEN "aaaaaaaa"

static const char *const GOOD[] = {
    "ubuntu",
    "ubuntu:24.04",
    "library/ubuntu",
    "docker://ubuntu:24.04",
    "registry.example.org/team/app:1.2",
    "docker://registry.example.org:443/team/app",
    "localhost/app",
    "localhost:5000/app:v1",
    "localhost:5000",
    "Registry.Example.ORG/app",
    "REGISTRY/app",
    "10.0.0.1:5000/app",
    "[::1]:5000/app",
    "[2001:db8::1]/team/app:1",
    "a",
    "0",
    "g/a.b_c__d-e---f",
    "app:_start",
    "app:V1.0-rc_2",
    "app:" TAG128,
    "app@" SHA256,
    "app:1@" SHA256,
    "localhost:5000/app:1@" SHA256,
    "app@sha512:" HEX64 HEX64,
    "docker:ubuntu:24.04",
    "docker:quay.io/team/app",
    "host.example#team/app:1",
    "docker://host.example:5000#app",
    "nodot#app@" SHA256,
    NAME255 ":1",
};

static const struct {
    const char *reference;
    const char *reason;
    const char *claim;
} BAD[] = {
    {"", "lower-case", "refuses an empty reference"},
    {" ubuntu", "spaces, control or non-ASCII", "refuses a space"},
    {"ubuntu\n", "spaces, control or non-ASCII", "refuses a newline"},
    {"ubun\033[2Jtu", "spaces, control or non-ASCII", "refuses an escape sequence"},
    {"\303\274bung", "spaces, control or non-ASCII", "refuses letters beyond ASCII"},
    {"ubuntu\177", "spaces, control or non-ASCII", "refuses DEL"},
    {"Ubuntu", "lower-case", "refuses upper case in a name"},
    {"team/App", "lower-case", "refuses upper case in a path"},
    {"a___b", "lower-case", "refuses three underscores in a row"},
    {"a..b", "lower-case", "refuses two dots in a row"},
    {"a._b", "lower-case", "refuses a dot beside an underscore"},
    {"-app", "lower-case", "refuses a leading dash, which would read as an option"},
    {"app-", "lower-case", "refuses a trailing dash"},
    {".app", "lower-case", "refuses a leading dot"},
    {"app_", "lower-case", "refuses a trailing underscore"},
    {"team//app", "lower-case", "refuses an empty path component"},
    {"/etc/passwd", "lower-case", "refuses an absolute path"},
    {"team/", "lower-case", "refuses a trailing slash"},
    {"../app", "not the name of a registry", "refuses a leading .."},
    {"team/../app", "lower-case", "refuses .. in a path"},
    {"docker://", "lower-case", "refuses a transport without a name"},
    {"oci:app:1", "is not a tag", "refuses another transport"},
    {"#app", "not the name of a registry", "refuses an empty registry before #"},
    {"host.example#", "lower-case", "refuses an empty name behind #"},
    {"host.example#a#b", "lower-case", "refuses a second #"},
    {"host.example/team#app", "lower-case", "refuses # behind the first component"},
    {HEX64, "an image's id", "refuses the id of an image"},
    {"@" SHA256, "lower-case", "refuses a digest without a name"},
    {"app:", "is not a tag", "refuses an empty tag"},
    {"app:.1", "is not a tag", "refuses a tag that starts with a dot"},
    {"app:-1", "is not a tag", "refuses a tag that starts with a dash"},
    {"app:1+2", "is not a tag", "refuses a plus in a tag"},
    {"app:1:2", "is not a tag", "refuses two tags"},
    {"app:a" TAG128, "is not a tag", "refuses a tag of 129 characters"},
    {"app@", "a digest is expected", "refuses an empty digest"},
    {"app@" HEX64, "a digest is expected", "refuses a digest without its algorithm"},
    {"app@sha256:" TEN, "a digest is expected", "refuses a short digest"},
    {"app@" SHA256 "0", "a digest is expected", "refuses a long digest"},
    {"app@sha512:" HEX64, "a digest is expected", "refuses a sha512 digest of 64 digits"},
    {"app@md5:d41d8cd98f00b204e9800998ecf8427e", "a digest is expected", "refuses md5"},
    {"app@SHA256:" HEX64, "a digest is expected", "refuses an algorithm in upper case"},
    {"app@sha256:0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF", "a digest is expected",
     "refuses a digest in upper case"},
    {"app@sha256:../../../../etc/passwd", "--image: ", "refuses a path for a digest"},
    {"app@" SHA256 "@" SHA256, "a digest is expected", "refuses two digests"},
    {"host:port/app", "not the name of a registry", "refuses a port of letters"},
    {"host:/app", "not the name of a registry", "refuses an empty port"},
    {"host:123456/app", "not the name of a registry", "refuses a port of six digits"},
    {"host:1:2/app", "not the name of a registry", "refuses two ports"},
    {"-host.example/app", "not the name of a registry", "refuses a host that starts with a dash"},
    {"host-.example/app", "not the name of a registry", "refuses a label that ends in a dash"},
    {"host..example/app", "not the name of a registry", "refuses an empty label in a host"},
    {"ho_st.example/app", "not the name of a registry", "refuses an underscore in a host"},
    {"[::1/app", "not the name of a registry", "refuses an unclosed IPv6 address"},
    {"[]/app", "not the name of a registry", "refuses an empty IPv6 address"},
    {"[::g]/app", "not the name of a registry", "refuses a letter that is no hex digit in an IPv6 address"},
    {"[::1]5000/app", "not the name of a registry", "refuses an IPv6 address that runs into the port"},
    {"https://host.example/app", "leave it out, or write docker://", "refuses a URL"},
    {"a" NAME255, "longer than 255", "refuses a name of 256 characters"},
};

static const char *const WITH_PASSWORD[] = {
    "user:s3cret@host.example/app",
    "docker://user:s3cret@host.example/app",
    "https://user:s3cret@host.example/app",
    "user:s3cret@host.example:5000/app:1",
    "user:s3cret@host.example/App",
    "user:s3cret@host.example/app:-1",
    "user:s3cret@host.example/app@" SHA256,
    "user:s3cret@host.example/app@sha256:0",
    "user:s3cret@host.example",
    "user:s3cret@host.example:5000",
    "user:s3cret@",
    "user:s/s3cret@host.example/app",
    "user:s@s3cret@host.example/app",
    "user:@s3cret@host.example/app",
    "user:s3cret\n@host.example/app",
    "s3cret@host.example/app",
    ":s3cret@host.example/app",
    "host.example/user:s3cret@other.example/app",
    "user:s3cret@host.example#app",
    "docker:user:s3cret@host.example/app",
    "s3cret@host.example#app",
};

static void check_long_references(void) {
    static char text[64 * 1024 + 1];
    struct error err;
    memset(text, 'a', sizeof text - 1);
    ok(reference_check(text, &err) == -1, "refuses 64 KiB");
    says(err.text, "the name is longer than", "says that 64 KiB are too long");

    text[REFERENCE_MAX] = '\0';
    reference_check(text, &err);
    says(err.text, "longer than 255 bytes", "gives the reason even for a name of the greatest length");
    text[1] = ':';
    reference_check(text, &err);
    says(err.text, "and starts with a letter, digit", "gives the whole reason even for a tag of that length");
}

int main(void) {
    struct error err;
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
        err.text[0] = '\0';
        if (!ok(reference_check(GOOD[i], &err) == 0, "accepts %.60s", GOOD[i]))
            printf("# %s\n", err.text);
        ok(err.text[0] == '\0', "leaves the error alone for %.60s", GOOD[i]);
    }
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        err.text[0] = '\0';
        ok(reference_check(BAD[i].reference, &err) == -1, "%s", BAD[i].claim);
        char claim[200];
        snprintf(claim, sizeof claim, "%s, with the reason", BAD[i].claim);
        says(err.text, BAD[i].reason, claim);
    }
    for (size_t i = 0; i < sizeof WITH_PASSWORD / sizeof *WITH_PASSWORD; i++) {
        bool refused = reference_check(WITH_PASSWORD[i], &err) == -1;
        if (!ok(refused && !strstr(err.text, "s3cret"), "refuses password number %zu without repeating it",
                i + 1))
            printf("# %s\n", err.text);
    }
    reference_check("user:s3cret@host.example/app", &err);
    says(err.text, "leave it out", "says what to do instead");
    check_long_references();
    return tap_done();
}
