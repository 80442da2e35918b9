#include "compat_shifter.h"
#include "translations.h"

int main(void) {
    static const struct translation IMAGES[] = {
        {"docker:ubuntu:20.04", "docker:ubuntu:20.04"},
        {"ubuntu:20.04", "ubuntu:20.04"},
        {"docker:registry.example.org/a/b:1", "docker:registry.example.org/a/b:1"},
        {"@site", "@site"},
        {"/data/app.sqsh", "/data/app.sqsh"},
        // Our own grammar refuses it, in its words.
        {"", ""},
    };
    static const struct untranslatable NO_IMAGES[] = {
        {"id:0123abcd", "--image=id:0123abcd: this is the number that Shifter's image gateway has"},
        {"local:/", "leave --image out to run on the host"},
        {"custom:app", "give the path of its squashfs file"},
    };
    static const struct translation VOLUMES[] = {
        {"/a:/b", "/a:/b"},
        {"/a:/b:ro", "/a:/b:ro"},
        {"/a:/b:RO", "/a:/b:ro"},
        {"/a:/b;/c:/d:ro", "/a:/b,/c:/d:ro"},
        {"/a:/b,/c:/d", "/a:/b,/c:/d"},
        {";/a:/b;", "/a:/b"},
        {"\"/a:/b\"", "/a:/b"},
        {"/a:/b:ro:slave", "/a:/b:ro+slave"},
        {"/a:/b:rec", "/a:/b:rbind"},
        {"/a\\b:/c", "/a\\\\b:/c"},
    };
    static const struct untranslatable NO_VOLUMES[] = {
        {"", "--volume needs a value"},
        {";", "--volume needs a value"},
        {"/a", "--volume: \"/a\": two paths are needed"},
        {"/a:", "two paths are needed"},
        {":/b", "two paths are needed"},
        {"/a:/b:rw", "--volume: \"/a:/b:rw\": there is no flag \"rw\""},
        {"/a:/b:", "there is no flag \"\""},
        {"/a:/b:perNodeCache=size=100G", "perNodeCache cannot be had"},
    };
    static const struct translation MODULES[] = {
        {"mpich", "shifter.site/module=mpich"},
        {"mpich,cvmfs", "shifter.site/module=mpich,shifter.site/module=cvmfs"},
        {"none", NULL},
    };
    static const struct untranslatable NO_MODULES[] = {
        {"", "this is no name of a module"},
        {"../x", "this is no name of a module"},
        {"a=b", "this is no name of a module"},
        {"none,mpich", "\"none\" stands alone"},
    };
    static const struct translation VARIABLES[] = {
        {"A=1", "A=1"}, {"A=", "A="}, {"A=x,y", "A=x\\,y"}, {"A=b=c", "A=b=c"}, {"A=\\:", "A=\\\\\\:"},
    };
    static const struct untranslatable NO_VARIABLES[] = {
        {"", "--env: a variable is written NAME=VALUE"},
        {"A", "--env: a variable is written NAME=VALUE"},
        {"=s3cret", "--env: a variable is written NAME=VALUE"},
        {"A,B=s3cret", "--env: a variable is written NAME=VALUE"},
    };
    static const struct translation ENTRYPOINTS[] = {{"", "yes"}};
    static const struct untranslatable NO_ENTRYPOINTS[] = {
        {"/bin/setup", "--entrypoint=/bin/setup: only the image's own entrypoint can be run"},
    };
    TRANSLATES(shifter_image, IMAGES);
    REFUSES(shifter_image, NO_IMAGES);
    TRANSLATES(shifter_volume, VOLUMES);
    REFUSES(shifter_volume, NO_VOLUMES);
    TRANSLATES(shifter_module, MODULES);
    REFUSES(shifter_module, NO_MODULES);
    TRANSLATES(shifter_env, VARIABLES);
    REFUSES(shifter_env, NO_VARIABLES);
    TRANSLATES(shifter_entrypoint, ENTRYPOINTS);
    REFUSES(shifter_entrypoint, NO_ENTRYPOINTS);
    return tap_done();
}
