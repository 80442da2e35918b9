#include "compat_pyxis.h"
#include "translations.h"

static void check_image(void) {
    static const struct translation GOOD[] = {
        {"ubuntu:24.04", "ubuntu:24.04"},
        {"docker://ubuntu", "docker://ubuntu"},
        {"nvcr.io#nvidia/pytorch:24.05-py3", "nvcr.io#nvidia/pytorch:24.05-py3"},
        {"docker://nvcr.io#nvidia/cuda", "docker://nvcr.io#nvidia/cuda"},
        {"app@sha256:0123", "app@sha256:0123"},
        {"/data/app.sqsh", "/data/app.sqsh"},
        {"./app.sqsh", "./app.sqsh"},
        {"../app.sqsh", "../app.sqsh"},
        {".app.sqsh", "./.app.sqsh"},
        {".cache/app.sqsh", "./.cache/app.sqsh"},
        {".", "."},
        {"..", ".."},
        {"@site", "@site"},
        {"oci:/data/app", "oci:/data/app"},
        {"/data/a@b#c", "/data/a@b#c"},
    };
    static const struct untranslatable BAD[] = {
        {"", "pyxis: --container-image: argument required"},
        {"dockerd://app", "docker-archive:FILE"},
        {"podman://app", "docker-archive:FILE"},
        {"alice@nvcr.io#nvidia/cuda", "leave it out"},
        {"docker://$oauthtoken@nvcr.io#nvidia/cuda", "leave it out"},
        {"alice:s3cret@r.example#a", "leave it out"},
    };
    TRANSLATES(pyxis_image, GOOD);
    REFUSES(pyxis_image, BAD);
    char *native = NULL;
    struct error err;
    pyxis_image("docker://alice:s3cret@r.example#a", &native, &err);
    ok(!strstr(err.text, "s3cret"), "repeats no password");
}

static void check_mounts(void) {
    static const struct translation GOOD[] = {
        {"/data:/data", "/data:/data"},
        {"/data", "/data:/data"},
        {"/a:/b:ro", "/a:/b:ro"},
        {"/a:/b:", "/a:/b"},
        {"/a:/b,/c:/d:ro+rprivate", "/a:/b,/c:/d:ro+rprivate"},
        {"./x:/y", "./x:/y"},
        {"../x:/y", "../x:/y"},
        {".x:/y", "./.x:/y"},
        {".:/y", ".:/y"},
        {"/a:./b", "/a:/b"},
        {"/a:.", "/a:/"},
        {"/a:.b", "/a:/.b"},
        {"/a:.//b", "/a:/b"},
        {"./data", "./data:/data"},
        {"~/a:/b", "~/a:/b"},
        {"/a:/b:x-create=auto", "/a:/b"},
        {"/a:/b:x-create=dir+ro", "/a:/b:ro"},
        {"/a:/b:ro+x-create=file+rslave", "/a:/b:ro+rslave"},
        {"/a\\b:/c", "/a\\\\b:/c"},
        {"/a b:/c", "/a b:/c"},
        {"/a$:/c", "/a$:/c"},
        {"tmpfs:/scratch", "tmpfs:/scratch"},
        {"tmpfs:/scratch:size=1G+x-create=dir", "tmpfs:/scratch:size=1G"},
        {"umount:/tmp:x-detach", "umount:/tmp"},
        {"umount:/tmp", "umount:/tmp"},
        // Our own grammar refuses these, in its words.
        {"tmpfs", "tmpfs"},
        {"/a:/b:readonly", "/a:/b:readonly"},
        {"/a:/b:ro:rw", "/a:/b:ro\\:rw"},
    };
    static const struct untranslatable BAD[] = {
        {"", "pyxis: --container-mounts: argument required"},
        {":", "pyxis: --container-mounts: invalid format: :"},
        {"/tmp:", "pyxis: --container-mounts: invalid format: /tmp:"},
        {":/tmp", "invalid format: :/tmp"},
        {"/a:/b,", "invalid format"},
        {"/a:/b,,/c:/d", "invalid format"},
        {"data:/data",
         "pyxis: mount source must be a relative path, an absolute path, \"tmpfs\" or \"umount\""},
        {"/a:data", "pyxis: mount target must be a relative path or an absolute path"},
        {"/home:../home", "leads out of the container"},
        {"/home:..", "leads out of the container"},
        {"/a:/b:nofail", "the flag \"nofail\" of enroot cannot be had"},
        {"/a:/b:ro+x-move", "the flag \"x-move\" of enroot cannot be had"},
        {"$HOME/a:/b", "no variables are put into paths"},
        {"/a:/b/${SLURM_JOB_ID}", "no variables are put into paths"},
        {"/a/$(id):/b", "no variables are put into paths"},
    };
    TRANSLATES(pyxis_mounts, GOOD);
    REFUSES(pyxis_mounts, BAD);
}

static void check_others(void) {
    static const struct translation DIRECTORIES[] = {{"/work", "/work"}};
    static const struct untranslatable NO_DIRECTORIES[] = {
        {"", "pyxis: --container-workdir: argument required"},
        {"work", "it must be an absolute path"},
        {"../", "it must be an absolute path"},
        {"image", "it must be an absolute path"},
    };
    static const struct translation NAMES[] = {
        {"app", "app"}, {"app:", "app"}, {"app:auto", "app:auto"}, {"app:no_exec", "app:no_exec"}};
    static const struct untranslatable NO_NAMES[] = {
        {"", "pyxis: --container-name: argument required"},
        {":exec", "pyxis: --container-name: empty name"},
        {"app:run",
         "pyxis: --container-name: flag must be \"auto\", \"create\", \"exec\" or \"no_exec\", not \"run\""},
    };
    static const struct translation FILES[] = {{"a.sqsh", "a.sqsh"}, {"/data/a", "/data/a"}};
    static const struct untranslatable NO_FILES[] = {
        {"", "pyxis: --container-save: argument required"},
        {"/data/", "pyxis: --container-save: target is a directory"},
    };
    static const struct translation VARIABLES[] = {{"A", "A"}, {"A,B", "A,B"}};
    static const struct untranslatable NO_VARIABLES[] = {
        {"", "pyxis: --container-env: argument required"},
        {"A,", "pyxis: --container-env: invalid format: A,"},
        {",A", "invalid format"},
        {"A,,B", "invalid format"},
    };
    static const struct translation NAMESPACES[] = {{"net", "net"}, {"net,ipc,uts", "net,ipc,uts"}};
    static const struct untranslatable NO_NAMESPACES[] = {
        {"", "pyxis: --container-unshare: argument required"},
        {"pid", "pyxis: --container-unshare: unknown namespace \"pid\""},
        {"net,", "unknown namespace \"\""},
    };
    TRANSLATES(pyxis_workdir, DIRECTORIES);
    REFUSES(pyxis_workdir, NO_DIRECTORIES);
    TRANSLATES(pyxis_name, NAMES);
    REFUSES(pyxis_name, NO_NAMES);
    TRANSLATES(pyxis_save, FILES);
    REFUSES(pyxis_save, NO_FILES);
    TRANSLATES(pyxis_env, VARIABLES);
    REFUSES(pyxis_env, NO_VARIABLES);
    TRANSLATES(pyxis_unshare, NAMESPACES);
    REFUSES(pyxis_unshare, NO_NAMESPACES);
}

static void check_flags(void) {
    static const char *const YES[] = {"1", "true", "yes", "y"}, *const NO[] = {"0", "false", "no", "n"};
    for (size_t i = 0; i < sizeof YES / sizeof *YES; i++) {
        is_text(pyxis_flag_value(YES[i]), "yes", "knows a yes");
        is_text(pyxis_flag_value(NO[i]), "no", "knows a no");
    }
    ok(!pyxis_flag_value("") && !pyxis_flag_value("maybe"), "knows nothing else");
}

int main(void) {
    check_image();
    check_mounts();
    check_others();
    check_flags();
    return tap_done();
}
