#include "compat_shifter.h"
#include "cleanup.h"
#include "compat_text.h"
#include "escaped_text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { SHOWN_MAX = 200 };

int shifter_image(const char *text, char **native, struct error *err) {
    static const struct {
        const char *type;
        const char *remedy;
    } REFUSED[] = {
        {"id:", "is the number that Shifter's image gateway has for an image; give its name, "
                "docker:NAME:TAG, or NAME@sha256:DIGEST to pin it"},
        {"local:", "is a directory in which Shifter runs without an image; give the path of a root file "
                   "system alone, or leave --image out to run on the host"},
        {"custom:", "is an image that Shifter's image gateway imported; give the path of its squashfs file"},
    };
    for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++) {
        if (strncmp(text, REFUSED[i].type, strlen(REFUSED[i].type)) == 0)
            return error_set(err, "--image=%.*s: this %s", SHOWN_MAX, text, REFUSED[i].remedy);
    }
    return compat_copy(text, native, err);
}

static int refuse_flag(const char *flag, struct error *err) {
    if (strncasecmp(flag, "perNodeCache", strlen("perNodeCache")) == 0)
        return error_set(err, "perNodeCache cannot be had; for a scratch space in memory write "
                              "--image-mount=tmpfs:DST:size=1G");
    return error_set(err, "there is no flag \"%.*s\"; there is ro", SHOWN_MAX, flag);
}

static int write_flags(FILE *to, char *flags, struct error *err) {
    static const struct {
        const char *shifters;
        const char *ours;
    } FLAGS[] = {{"ro", "ro"}, {"rec", "rbind"}, {"slave", "slave"}, {"private", "private"}};
    enum { FLAG_COUNT = sizeof FLAGS / sizeof *FLAGS };
    char separator = ':';
    for (char *flag; (flag = strsep(&flags, ":"));) {
        size_t i = 0;
        while (i < FLAG_COUNT && strcasecmp(flag, FLAGS[i].shifters) != 0)
            i++;
        if (i == FLAG_COUNT)
            return refuse_flag(flag, err);
        fprintf(to, "%c%s", separator, FLAGS[i].ours);
        separator = '+';
    }
    return 0;
}

static void strip_quotes(char **volume) {
    size_t length = strlen(*volume);
    if (length >= 2 && (*volume)[0] == '"' && (*volume)[length - 1] == '"') {
        (*volume)[length - 1] = '\0';
        (*volume)++;
    }
}

static int write_volume(FILE *to, char *volume, struct error *err) {
    strip_quotes(&volume);
    char *flags = volume;
    const char *source = strsep(&flags, ":");
    const char *target = flags ? strsep(&flags, ":") : NULL;
    if (source[0] == '\0' || !target || target[0] == '\0')
        return error_set(err, "two paths are needed, as in /data:/data:ro");
    escaped_write(to, source);
    fputc(':', to);
    escaped_write(to, target);
    return flags ? write_flags(to, flags, err) : 0;
}

static int write_volumes(FILE *to, char *volumes, struct error *err) {
    const char *separator = "";
    for (char *volume; (volume = strsep(&volumes, ";,"));) {
        // "a:b;" and ";a:b" are usual: Shifter's own plugin writes such.
        if (volume[0] == '\0')
            continue;
        cleanup_free char *whole = strdup(volume);
        fputs(separator, to);
        if (!whole || write_volume(to, volume, err) != 0)
            return whole ? error_wrap(err, "--volume: \"%.*s\"", SHOWN_MAX, whole)
                         : error_errno(err, "--volume");
        separator = ",";
    }
    return separator[0] ? 0 : error_set(err, "--volume needs a value, as in /data:/data:ro");
}

int shifter_volume(const char *text, char **native, struct error *err) {
    return compat_rewrite(text, write_volumes, native, err);
}

static int write_modules(FILE *to, char *names, struct error *err) {
    for (char *name; (name = strsep(&names, ","));) {
        if (strcmp(name, "none") == 0)
            return error_set(err, "--module: \"none\" stands alone; leave it out, or the others");
        fprintf(to, SHIFTER_MODULE_KIND "=%s%s", name, names ? "," : "");
    }
    return 0;
}

int shifter_module(const char *text, char **native, struct error *err) {
    // Modules that the site gives to everybody are not ours, so there is nothing to turn off.
    if (strcmp(text, "none") == 0) {
        *native = NULL;
        return 0;
    }
    const char *bad = text[0] ? strpbrk(text, "=/") : text;
    if (bad)
        return error_set(err, "--module=%.*s: this is no name of a module; the site says which there are",
                         SHOWN_MAX, text);
    return compat_rewrite(text, write_modules, native, err);
}

static int write_variable(FILE *to, char *variable, struct error *err) {
    (void)err;
    char *value = variable;
    fprintf(to, "%s=", strsep(&value, "="));
    escaped_write(to, value);
    return 0;
}

int shifter_env(const char *text, char **native, struct error *err) {
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || memchr(text, ',', (size_t)(equals - text)))
        return error_set(err, "--env: a variable is written NAME=VALUE");
    return compat_rewrite(text, write_variable, native, err);
}

int shifter_entrypoint(const char *text, char **native, struct error *err) {
    if (text[0])
        return error_set(err,
                         "--entrypoint=%.*s: only the image's own entrypoint can be run; put this program "
                         "before the command instead",
                         SHOWN_MAX, text);
    return compat_copy("yes", native, err);
}
