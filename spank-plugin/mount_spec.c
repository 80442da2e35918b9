#include "mount_spec.h"
#include "cleanup.h"
#include "escaped_text.h"
#include "nearest_name.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN_MAX = 200, FIELDS_MAX = 3, SIZE_DIGITS_MAX = 15, GROUP_NONE = 0 };

// JavaScript's largest whole number: the daemon counts in those.
static const unsigned long long SIZE_MAX_BYTES = (1ULL << 53) - 1;

// Of the flags of one group a mount can have one.
struct flag {
    const char *name;
    int group;
};

static const struct flag BIND_FLAGS[] = {
    {"bind", 1},
    {"rbind", 1},
    {"ro", 2},
    {"rw", 2},
    {"private", 3},
    {"slave", 3},
    {"shared", 3},
    {"unbindable", 3},
    {"rprivate", 3},
    {"rslave", 3},
    {"rshared", 3},
    {"runbindable", 3},
    {"nosuid", GROUP_NONE},
    {"nodev", GROUP_NONE},
    {"noexec", GROUP_NONE},
};
static const struct flag TMPFS_FLAGS[] = {
    {"ro", 2},    {"rw", 2},    {"nosuid", GROUP_NONE}, {"nodev", GROUP_NONE}, {"noexec", GROUP_NONE},
    {"size=", 4}, {"mode=", 5},
};

enum {
    BIND_FLAG_COUNT = sizeof BIND_FLAGS / sizeof *BIND_FLAGS,
    TMPFS_FLAG_COUNT = sizeof TMPFS_FLAGS / sizeof *TMPFS_FLAGS,
};

static bool starts_with(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

// A word alone, or with "/" behind it.
static bool is_path_from(const char *text, const char *start) {
    size_t length = strlen(start);
    return strncmp(text, start, length) == 0 && (text[length] == '\0' || text[length] == '/');
}

static int check_source(const char *source, struct error *err) {
    if (source[0] == '/' || is_path_from(source, ".") || is_path_from(source, "..") ||
        is_path_from(source, "~"))
        return 0;
    if (source[0] == '~')
        return error_set(err, "only \"~/\" stands for a home directory, your own; write the path in full");
    return error_set(err, "the source \"%.*s\" must begin with \"/\", \"./\", \"../\" or \"~/\"", SHOWN_MAX,
                     source);
}

static int check_target(const char *target, struct error *err) {
    if (target[0] == '/')
        return 0;
    return error_set(err, "\"%.*s\" must be an absolute path in the container", SHOWN_MAX, target);
}

static int check_size(const char *value, struct error *err) {
    char *unit;
    errno = 0;
    unsigned long long bytes = strtoull(value, &unit, 10);
    size_t digits = (size_t)(unit - value);
    unsigned shift = 0;
    if (unit[0] != '\0') {
        const char *units = "kKmMgGtT", *known = strchr(units, unit[0]);
        shift = known && unit[1] == '\0' ? 10 * (unsigned)((known - units) / 2 + 1) : 64;
    }
    if (digits == 0 || digits > SIZE_DIGITS_MAX || digits != strspn(value, "0123456789") || bytes == 0 ||
        shift == 64 || bytes > SIZE_MAX_BYTES >> shift)
        return error_set(err, "\"size=%.*s\" is no size; write for example size=1G", SHOWN_MAX, value);
    return 0;
}

static int check_mode(const char *value, struct error *err) {
    size_t digits = strlen(value);
    unsigned long mode = strtoul(value, NULL, 8);
    if (digits < 3 || digits > 5 || digits != strspn(value, "01234567") || mode == 0 || mode > 01777)
        return error_set(err, "\"mode=%.*s\" is no mode; write for example mode=1777", SHOWN_MAX, value);
    return 0;
}

// A flag that has a value is known by what stands before it, '=' included.
static const struct flag *find_flag(const char *text, const struct flag *known, size_t count) {
    size_t length = text[strcspn(text, "=")] == '=' ? strcspn(text, "=") + 1 : strlen(text);
    for (size_t i = 0; i < count; i++) {
        if (strlen(known[i].name) == length && memcmp(known[i].name, text, length) == 0)
            return &known[i];
    }
    return NULL;
}

static int refuse_unknown_flag(const char *text, const struct flag *known, size_t count, struct error *err) {
    const char *names[BIND_FLAG_COUNT];
    char all[256] = "";
    for (size_t i = 0; i < count; i++) {
        names[i] = known[i].name;
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", i > 0 ? ", " : "", names[i]);
    }
    const char *nearest = nearest_name(text, names, count);
    if (nearest)
        return error_set(err, "there is no flag \"%.*s\"; did you mean \"%s\"?", SHOWN_MAX, text, nearest);
    return error_set(err, "there is no flag \"%.*s\"; known are %s", SHOWN_MAX, text, all);
}

static int check_flag_value(const char *text, struct error *err) {
    if (starts_with(text, "size="))
        return check_size(text + strlen("size="), err);
    return starts_with(text, "mode=") ? check_mode(text + strlen("mode="), err) : 0;
}

static int check_flags(char *flags, const struct flag *known, size_t count, struct error *err) {
    const struct flag *seen[BIND_FLAG_COUNT];
    size_t seen_count = 0;
    for (char *rest = flags, *text; (text = strsep(&rest, "+"));) {
        if (text[0] == '\0')
            return error_set(err, "a flag is missing");
        const struct flag *flag = find_flag(text, known, count);
        if (!flag)
            return refuse_unknown_flag(text, known, count, err);
        for (size_t i = 0; i < seen_count; i++) {
            if (seen[i] == flag)
                return error_set(err, "\"%s\" stands there twice", flag->name);
            if (flag->group != GROUP_NONE && seen[i]->group == flag->group)
                return error_set(err, "\"%s\" and \"%s\" contradict each other", seen[i]->name, flag->name);
        }
        if (check_flag_value(text, err) != 0)
            return -1;
        seen[seen_count++] = flag;
    }
    return 0;
}

static int check_own_kind(const char *kind, const char *target, char *flags, struct error *err) {
    if (!target)
        return error_set(err, "where is missing, as in %s:/scratch", kind);
    if (check_target(target, err) != 0)
        return -1;
    if (!flags)
        return 0;
    if (strcmp(kind, "umount") == 0)
        return error_set(err, "umount takes no flags");
    return check_flags(flags, TMPFS_FLAGS, TMPFS_FLAG_COUNT, err);
}

static int check_bind(const char *source, const char *target, char *flags, struct error *err) {
    if (check_source(source, err) != 0 || (target && check_target(target, err) != 0))
        return -1;
    return flags ? check_flags(flags, BIND_FLAGS, BIND_FLAG_COUNT, err) : 0;
}

static int check_fields(char *item, struct error *err) {
    if (item[0] == '\0')
        return error_set(err, "it is empty; write for example /data:/data:ro");
    for (const char *at = item; *at; at++) {
        if (iscntrl((unsigned char)*at))
            return error_set(err, "it holds a control character");
    }
    char *fields[FIELDS_MAX] = {NULL};
    char *rest = item;
    for (size_t i = 0; i < FIELDS_MAX && rest; i++) {
        fields[i] = escaped_take(&rest, ':');
        if (escaped_resolve(fields[i], err) != 0)
            return -1;
    }
    if (rest)
        return error_set(err, "there are more than three parts; write \"\\:\" for a \":\" in a path");
    const char *first = fields[0];
    if (first[0] == '\0')
        return error_set(err, "the source is missing");
    if (strcmp(first, "tmpfs") == 0 || strcmp(first, "umount") == 0)
        return check_own_kind(first, fields[1], fields[2], err);
    return check_bind(first, fields[1], fields[2], err);
}

static int check_item(const char *item, size_t length, struct error *err) {
    cleanup_free char *copy = strndup(item, length);
    if (!copy)
        return error_errno(err, "--image-mount");
    if (check_fields(copy, err) != 0)
        return error_wrap(err, "--image-mount: \"%.*s\"", (int)(length < SHOWN_MAX ? length : SHOWN_MAX),
                          item);
    return 0;
}

int mount_spec_check(const char *text, struct error *err) {
    for (const char *item = text;; item++) {
        const char *end = escaped_end(item, ',');
        if (check_item(item, (size_t)(end - item), err) != 0)
            return -1;
        if (*end == '\0')
            return 0;
        item = end;
    }
}

static void write_anchored(FILE *to, const char *item, size_t length, const char *directory) {
    if (item[0] == '.') {
        escaped_write(to, strcmp(directory, "/") == 0 ? "" : directory);
        fputc('/', to);
        bool from_here = item[1] != '.';
        size_t skipped = from_here ? 1 + strspn(item + 1, "/") : 0;
        item += skipped;
        length -= skipped;
    }
    fwrite(item, 1, length, to);
}

int mount_spec_anchor(const char *text, const char *directory, char **anchored, struct error *err) {
    char *written = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&written, &size);
    if (!to)
        return error_errno(err, "--image-mount");
    for (const char *item = text;; item++) {
        const char *end = escaped_end(item, ',');
        write_anchored(to, item, (size_t)(end - item), directory);
        if (*end == '\0')
            break;
        fputc(',', to);
        item = end;
    }
    if (fclose(to) != 0) {
        free(written);
        return error_errno(err, "--image-mount");
    }
    *anchored = written;
    return 0;
}
