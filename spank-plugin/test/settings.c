#include "settings.h"
#include "tap.h"

static int read_one(struct settings *settings, const char *argument, struct error *err) {
    return settings_read(settings, 1, (char *[]){(char *)argument, NULL}, err);
}

static void check_refusal(const char *argument, const char *reason) {
    struct settings settings = {.socket = "untouched"};
    struct error err = {""};
    ok(read_one(&settings, argument, &err) == -1, "refuses %s", argument);
    char claim[200];
    snprintf(claim, sizeof claim, "names %s and says what is wrong", argument);
    ok(strstr(err.text, argument) && strstr(err.text, reason) && strstr(err.text, "plugstack.conf"), "%s",
       claim);
    ok(strcmp(settings.socket, "untouched") == 0, "leaves the settings alone after %s", argument);
}

int main(void) {
    struct settings settings;
    struct error err;

    ok(settings_read(&settings, 0, NULL, &err) == 0, "takes no arguments");
    is_text(settings.socket, "/run/stowaged/api.sock", "has a default socket");
    is_text(settings.trees, "/run/stowage/trees", "has a default tree store");
    is_text(settings.libexec, "/usr/libexec/stowage", "has a default place for the helper");
    is_text(settings.environments, "/etc/stowage/environments", "has a default place for environments");
    ok(!settings.batch_in_container, "leaves batch scripts on the host by default");
    ok(settings.prefetch, "prefetches by default");

    char *all[] = {"batch=container", "libexec=/l", "trees=/t", "socket=/s", "environments=/e", NULL};
    ok(settings_read(&settings, 5, all, &err) == 0, "takes all arguments in any order");
    is_text(settings.socket, "/s", "reads socket=");
    is_text(settings.trees, "/t", "reads trees=");
    is_text(settings.libexec, "/l", "reads libexec=");
    is_text(settings.environments, "/e", "reads environments=");
    ok(settings.batch_in_container, "reads batch=container");

    ok(read_one(&settings, "prefetch=no", &err) == 0 && !settings.prefetch, "reads prefetch=no");
    ok(read_one(&settings, "prefetch=yes", &err) == 0 && settings.prefetch, "reads prefetch=yes");

    char *twice[] = {"batch=container", "batch=host", "socket=/a", "socket=/b", NULL};
    ok(settings_read(&settings, 4, twice, &err) == 0 && !settings.batch_in_container &&
           strcmp(settings.socket, "/b") == 0,
       "lets the last of two win");

    check_refusal("socket", "unknown argument");
    check_refusal("Socket=/s", "unknown argument");
    check_refusal("sockets=/s", "unknown argument");
    check_refusal("batch=", "batch=host|container");
    check_refusal("batch=Container", "batch=host|container");
    check_refusal("prefetch=", "prefetch=yes|no");
    check_refusal("prefetch=maybe", "prefetch=yes|no");
    check_refusal("socket=", "absolute path");
    check_refusal("socket=run/api.sock", "absolute path");
    check_refusal("trees=/a:/b", "absolute path");
    check_refusal("trees=/a,upperdir=/b", "absolute path");
    check_refusal("trees=/a\\b", "absolute path");
    check_refusal("libexec=/a b", "absolute path");

    ok(!settings.speaks[DIALECT_PYXIS] && !settings.speaks[DIALECT_SHIFTER] &&
           settings.speaks[DIALECT_STOWAGE],
       "has our own options only by default");
    ok(read_one(&settings, "compat=pyxis", &err) == 0 && settings.speaks[DIALECT_PYXIS] &&
           !settings.speaks[DIALECT_SHIFTER],
       "reads compat=pyxis");
    ok(read_one(&settings, "compat=pyxis,shifter", &err) == 0 && settings.speaks[DIALECT_PYXIS] &&
           settings.speaks[DIALECT_SHIFTER],
       "reads compat=pyxis,shifter");
    ok(!settings.pyxis.execute_entrypoint && !settings.pyxis.mount_home && !settings.pyxis.remap_root &&
           settings.pyxis.sbatch_support,
       "has defaults for what pyxis leaves to the site");
    char *pyxis[] = {"execute_entrypoint=1",
                     "mount_home=true",
                     "remap_root=yes",
                     "sbatch_support=0",
                     "compat=pyxis",
                     "container_scope=job",
                     NULL};
    ok(settings_read(&settings, 6, pyxis, &err) == 0 && settings.pyxis.execute_entrypoint &&
           settings.pyxis.mount_home && settings.pyxis.remap_root && !settings.pyxis.sbatch_support,
       "reads pyxis's arguments");
    check_refusal("compat=", "there are compat=pyxis|shifter");
    check_refusal("compat=Pyxis", "there are compat=pyxis|shifter");
    check_refusal("compat=pyxis,", "there are compat=pyxis|shifter");
    check_refusal("execute_entrypoint=1", "is of use with compat=pyxis only");
    check_refusal("execute_entrypoint=maybe", "is neither 0 nor 1");
    check_refusal("container_scope=global", "container_scope=job");
    check_refusal("runtime_path=/run/pyxis", "leave it out");
    check_refusal("importer=/usr/bin/importer", "leave it out");
    check_refusal("use_enroot_load=1", "leave it out");
    check_refusal("use_squashfuse=1", "image.squashfs = \"mount\"");

    char *late[] = {"socket=/s", "nonsense", NULL};
    settings = (struct settings){.socket = "untouched"};
    ok(settings_read(&settings, 2, late, &err) == -1 && strcmp(settings.socket, "untouched") == 0,
       "takes nothing when a later argument is wrong");
    return tap_done();
}
