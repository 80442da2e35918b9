// The grammars of options that are too small for a program of their own.
#include "cases.h"
#include "container_name.h"
#include "device_name.h"
#include "env_spec.h"
#include "save_path.h"
#include "unshare_spec.h"

#include <stdlib.h>

#define TEN "aaaaaaaaaa"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define NAME_OF_128 HUNDRED TEN TEN "aaaaaaaa"

static void check_env(void) {
    static const char *const GOOD[] = {"A",          "A=",    "A=b=c", "_a1.x-y=1", "A=1,B=2,C", "A=x\\,y",
                                       "A=\\\\,B=2", "A=a:b", "A= b ", "SLURM=1",   "PMIX=yes",  "A=1,A=2"};
    static const struct bad_case BAD[] = {
        {"", "the name of a variable is missing"},
        {"A,", "the name of a variable is missing"},
        {",A", "the name of a variable is missing"},
        {"=s3cret", "the name of a variable is missing"},
        {"1A=x", "\"1A\" is no name of a variable"},
        {"A B=x", "\"A B\" is no name of a variable"},
        {"A=x,y z", "for a \",\" in a value write \"\\,\""},
        {"A=s3cret\\n", "A: \"\\n\" stands for nothing"},
        {"A=s3cret\\", "A: \"\\\" stands for nothing"},
        {"SLURM_PROCID=0", "SLURM_PROCID is Slurm's"},
        {"PMI_RANK", "PMI_RANK is Slurm's"},
        {"STOWAGE_IMAGE=s3cret", "STOWAGE_IMAGE is Slurm's, or Stowage's"},
    };
    ACCEPTS(env_spec_check, GOOD);
    REFUSES(env_spec_check, BAD);
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        struct error err;
        env_spec_check(BAD[i].text, &err);
        ok(!strstr(err.text, "s3cret"), "no value is repeated");
    }
}

static void check_devices(void) {
    static const char *const GOOD[] = {
        "nvidia.com/gpu=0", "nvidia.com/gpu=all,site.example/mpi=cray", "a/b=c", "none",
        "none,a/b=c",       "vendor.example/class-1.x_y=GPU-0:1.2_3"};
    static const struct bad_case BAD[] = {
        {"",
         "\"\" is no name of a CDI device; write vendor/class=name, for example nvidia.com/gpu=all, or none"},
        {"gpu", "\"gpu\" is no name"},
        {"nvidia.com/gpu", "\"nvidia.com/gpu\" is no name"},
        {"nvidia.com=0", "is no name"},
        {"nvidia.com/gpu=", "is no name"},
        {"/gpu=0", "is no name"},
        {"nvidia.com/=0", "is no name"},
        {"1vendor/gpu=0", "is no name"},
        {"nvidia.com/gpu=0,", "\"\" is no name"},
        {"nvidia.com/gpu=0,../../x/y=1", "\"../../x/y=1\" is no name"},
        {"nvidia.com./gpu=0", "is no name"},
        {"nvidia.com/gpu=-0", "is no name"},
        {"nvidia.com/gpu=0=1", "is no name"},
        {"nvidia.com/g\xc3\xa4=0", "is no name"},
    };
    ACCEPTS(device_names_check, GOOD);
    REFUSES(device_names_check, BAD);
}

static void check_unshare(void) {
    static const char *const GOOD[] = {"net", "ipc", "uts", "net,ipc,uts", "uts,net", "net,net"};
    static const struct bad_case BAD[] = {
        {"", "\"\" is no namespace that can be had; there are net, ipc and uts"},
        {"pid", "\"pid\" is no namespace"},
        {"net,", "\"\" is no namespace"},
        {"Net", "\"Net\" is no namespace"},
        {"net ipc", "\"net ipc\" is no namespace"},
    };
    ACCEPTS(unshare_spec_check, GOOD);
    REFUSES(unshare_spec_check, BAD);
}

static void check_names(void) {
    static const char *const GOOD[] = {"a",      "my_app-1.2", "_x", "a:auto",    "a:create",
                                       "a:exec", "a:no_exec",  "0",  NAME_OF_128, NAME_OF_128 ":exec"};
    static const struct bad_case BAD[] = {
        {"", "\"\" is no name of a container"},
        {":exec", "\"\" is no name of a container"},
        {".", "\".\" is no name of a container"},
        {"..", "is no name of a container"},
        {"a/b", "is no name of a container"},
        {"-a", "is no name of a container"},
        {NAME_OF_128 "a", "at most 128 letters"},
        {"a:", "\":\" is unknown; behind the name there are :auto (default)"},
        {"a:run", "\":run\" is unknown"},
        {"a:exec:exec", "\":exec:exec\" is unknown"},
    };
    ACCEPTS(container_name_check, GOOD);
    REFUSES(container_name_check, BAD);
}

static void anchors(const char *text, const char *wanted) {
    struct error err;
    char *path = NULL;
    ok(save_path_anchor(text, "/here", &path, &err) == 0, "anchors %s", text);
    is_text(path ? path : "", wanted, "at its directory");
    free(path);
}

static void check_save_paths(void) {
    static const char *const GOOD[] = {"a.sqsh",   "./a.squashfs", "/data/a.tar", "../x/a.tar",
                                       "~/a.sqsh", "a.b.tar",      "a b.tar"};
    static const struct bad_case BAD[] = {
        {"a", "let it end in .sqsh or .squashfs (squashfs) or in .tar (OCI archive)"},
        {"/data/", "let it end in"},
        {"a.sif", "let it end in"},
        {"a.tar.gz", "let it end in"},
        {".tar", "let it end in"},
        {"/data/.sqsh", "let it end in"},
        {"a.tar/", "let it end in"},
        {"~other/a.tar", "only \"~/\" stands for a home directory"},
    };
    ACCEPTS(save_path_check, GOOD);
    REFUSES(save_path_check, BAD);
    anchors("a.tar", "/here/a.tar");
    anchors("../a.tar", "/here/../a.tar");
    anchors("/a.tar", "/a.tar");
    anchors("~/a.tar", "~/a.tar");
}

int main(void) {
    check_env();
    check_devices();
    check_unshare();
    check_names();
    check_save_paths();
    return tap_done();
}
