#include "compat_pyxis.h"
#include "cleanup.h"
#include "compat_text.h"
#include "escaped_text.h"
#include "option_rules.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN_MAX = 200 };

static bool starts_with(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

static int require(const char *option, const char *text, struct error *err) {
    return text[0] ? 0 : error_set(err, "pyxis: --%s: argument required", option);
}

// pyxis takes whatever begins with '.' for a path; we, only what begins with "./" or "../".
static const char *path_prefix(const char *path) {
    return path[0] == '.' && path[strspn(path, ".")] != '/' && path[strspn(path, ".")] != '\0' ? "./" : "";
}

static int write_path(FILE *to, char *path, struct error *err) {
    (void)err;
    fprintf(to, "%s%s", path_prefix(path), path);
    return 0;
}

// "alice@registry#name": the login that enroot is to take of several for the registry.
static bool names_login(const char *image) {
    const char *at_sign = image + strcspn(image, "@/#");
    return *at_sign == '@' && at_sign > image && !starts_with(at_sign, "@sha256:") &&
           !starts_with(at_sign, "@sha512:");
}

int pyxis_image(const char *text, char **native, struct error *err) {
    if (require("container-image", text, err) != 0)
        return -1;
    if (starts_with(text, "dockerd://") || starts_with(text, "podman://"))
        return error_set(err,
                         "pyxis: --container-image=%.*s: images are not taken from a program of the node; "
                         "write one to a file with 'docker save' or 'podman save' and give "
                         "docker-archive:FILE",
                         SHOWN_MAX, text);
    if (text[0] == '.')
        return compat_rewrite(text, write_path, native, err);
    // Not what follows, which may be a password.
    const char *image = starts_with(text, "docker://") ? text + strlen("docker://") : text;
    if (names_login(image))
        return error_set(err, "pyxis: --container-image: a login before '@' is not understood; leave it out: "
                              "the login that your files have for the registry is taken");
    return compat_copy(text, native, err);
}

static bool is_kind(const char *source) {
    return strcmp(source, "tmpfs") == 0 || strcmp(source, "umount") == 0;
}

static int write_source(FILE *to, const char *source, struct error *err) {
    if (!is_kind(source) && !strchr("./~", source[0]))
        return error_set(err,
                         "pyxis: mount source must be a relative path, an absolute path, \"tmpfs\" or "
                         "\"umount\": \"%.*s\" is none of them",
                         SHOWN_MAX, source);
    fputs(path_prefix(source), to);
    escaped_write(to, source);
    return 0;
}

static int write_target(FILE *to, const char *target, struct error *err) {
    if (!strchr("./~", target[0]))
        return error_set(err,
                         "pyxis: mount target must be a relative path or an absolute path: \"%.*s\" begins "
                         "with neither \"/\" nor \"./\"",
                         SHOWN_MAX, target);
    fputc(':', to);
    if (target[0] == '.') {
        const char *rest = target + 1;
        if (rest[0] == '.' && (rest[1] == '/' || rest[1] == '\0'))
            return error_set(
                err, "pyxis: mount target \"%.*s\" leads out of the container; write an absolute path",
                SHOWN_MAX, target);
        if (rest[0] != '/' && rest[0] != '\0')
            rest = target;
        target = rest + strspn(rest, "/");
        fputc('/', to);
    }
    escaped_write(to, target);
    return 0;
}

// What is so with every mount of ours: the place is made, and what is taken away, is away at once.
static bool goes_without_saying(const char *flag) {
    static const char *const FLAGS[] = {"", "x-create=auto", "x-create=dir", "x-create=file", "x-detach"};
    for (size_t i = 0; i < sizeof FLAGS / sizeof *FLAGS; i++) {
        if (strcmp(flag, FLAGS[i]) == 0)
            return true;
    }
    return false;
}

static int write_flags(FILE *to, char *flags, struct error *err) {
    char separator = ':';
    for (char *flag; (flag = strsep(&flags, "+"));) {
        if (goes_without_saying(flag))
            continue;
        if (starts_with(flag, "x-") || strcmp(flag, "nofail") == 0 || strcmp(flag, "silent") == 0)
            return error_set(err,
                             "pyxis: --container-mounts: the flag \"%.*s\" of enroot cannot be had; leave it "
                             "out, and see that the source exists",
                             SHOWN_MAX, flag);
        fputc(separator, to);
        escaped_write(to, flag);
        separator = '+';
    }
    return 0;
}

// enroot puts variables of the node into paths.
static bool has_variable(const char *path) {
    const char *dollar = strchr(path, '$');
    return dollar && (isalpha((unsigned char)dollar[1]) || strchr("_{(", dollar[1])) && dollar[1];
}

static int write_mount(FILE *to, char *mount, struct error *err) {
    cleanup_free char *whole = strdup(mount);
    if (!whole)
        return error_errno(err, "pyxis: --container-mounts");
    char *flags = mount;
    const char *source = strsep(&flags, ":");
    const char *target = flags ? strsep(&flags, ":") : NULL;
    if (source[0] == '\0' || (target && target[0] == '\0'))
        return error_set(err,
                         "pyxis: --container-mounts: invalid format: %.*s; write for example /data:/data:ro",
                         SHOWN_MAX, whole);
    if (has_variable(whole))
        return error_set(err,
                         "pyxis: --container-mounts: \"%.*s\": no variables are put into paths; give the "
                         "mount on a command line, where the shell does it",
                         SHOWN_MAX, whole);
    if (write_source(to, source, err) != 0)
        return -1;
    if (!target && is_kind(source))
        return 0;
    if (write_target(to, target ? target : source, err) != 0)
        return -1;
    return flags ? write_flags(to, flags, err) : 0;
}

static int write_mounts(FILE *to, char *mounts, struct error *err) {
    for (char *mount; (mount = strsep(&mounts, ","));) {
        if (write_mount(to, mount, err) != 0)
            return -1;
        if (mounts)
            fputc(',', to);
    }
    return 0;
}

int pyxis_mounts(const char *text, char **native, struct error *err) {
    return require("container-mounts", text, err) == 0 ? compat_rewrite(text, write_mounts, native, err) : -1;
}

int pyxis_workdir(const char *text, char **native, struct error *err) {
    if (require("container-workdir", text, err) != 0)
        return -1;
    // It would be taken for the word that stands for the image's own.
    if (text[0] != '/')
        return error_set(err, "pyxis: --container-workdir=%.*s: it must be an absolute path in the container",
                         SHOWN_MAX, text);
    return compat_copy(text, native, err);
}

int pyxis_name(const char *text, char **native, struct error *err) {
    static const char *const FLAGS[] = {"", "auto", "create", "exec", "no_exec"};
    if (require("container-name", text, err) != 0)
        return -1;
    size_t length = strcspn(text, ":");
    if (length == 0)
        return error_set(err, "pyxis: --container-name: empty name");
    const char *flags = text[length] ? text + length + 1 : "auto";
    bool known = false;
    for (size_t i = 0; i < sizeof FLAGS / sizeof *FLAGS; i++)
        known = known || strcmp(flags, FLAGS[i]) == 0;
    if (!known)
        return error_set(err,
                         "pyxis: --container-name: flag must be \"auto\", \"create\", \"exec\" or "
                         "\"no_exec\", not \"%.*s\"",
                         SHOWN_MAX, flags);
    if (compat_copy(text, native, err) != 0)
        return -1;
    if (flags[0] == '\0')
        (*native)[length] = '\0';
    return 0;
}

int pyxis_save(const char *text, char **native, struct error *err) {
    if (require("container-save", text, err) != 0)
        return -1;
    if (text[strlen(text) - 1] == '/')
        return error_set(err, "pyxis: --container-save: target is a directory; name a file in it");
    return compat_copy(text, native, err);
}

int pyxis_env(const char *text, char **native, struct error *err) {
    if (require("container-env", text, err) != 0)
        return -1;
    if (text[0] == ',' || text[strlen(text) - 1] == ',' || strstr(text, ",,"))
        return error_set(err, "pyxis: --container-env: invalid format: %.*s; write NAME,NAME", SHOWN_MAX,
                         text);
    return compat_copy(text, native, err);
}

int pyxis_unshare(const char *text, char **native, struct error *err) {
    if (require("container-unshare", text, err) != 0)
        return -1;
    cleanup_free char *names = strdup(text);
    if (!names)
        return error_errno(err, "pyxis: --container-unshare");
    for (char *rest = names, *name; (name = strsep(&rest, ","));) {
        if (strcmp(name, "net") != 0 && strcmp(name, "ipc") != 0 && strcmp(name, "uts") != 0)
            return error_set(
                err, "pyxis: --container-unshare: unknown namespace \"%.*s\"; there are net, ipc and uts",
                SHOWN_MAX, name);
    }
    return compat_copy(text, native, err);
}

const char *pyxis_flag_value(const char *text) {
    if (strcmp(text, "y") == 0)
        return "yes";
    return strcmp(text, "n") == 0 ? "no" : option_flag_value(text);
}
