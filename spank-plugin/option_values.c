#include "option_values.h"
#include "cleanup.h"

#include <stdio.h>
#include <string.h>

// Of a name without "image-", and '='.
enum { HELPER_NAME_MAX = 32 };

static const char *line_end(const char *line) {
    return line + strcspn(line, "\n");
}

// Writes all lines but those that are the same as `text`. Returns how many there are.
static size_t write_others(FILE *to, const char *lines, const char *text) {
    size_t count = 0, length = strlen(text);
    while (lines && *lines) {
        const char *end = line_end(lines);
        if ((size_t)(end - lines) != length || memcmp(lines, text, length) != 0) {
            fwrite(lines, 1, (size_t)(end - lines), to);
            fputc('\n', to);
            count++;
        }
        lines = *end ? end + 1 : end;
    }
    return count;
}

static int add(char **lines, const char *text, const char *name, struct error *err) {
    cleanup_free char *sum = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&sum, &size);
    if (!to)
        return error_errno(err, "--%s", name);
    size_t others = write_others(to, *lines, text);
    fputs(text, to);
    if (fclose(to) != 0)
        return error_errno(err, "--%s", name);
    if (others >= OPTION_PARTS_MAX)
        return error_set(err, "--%s is given more than %d times; put values into one, separated by ','", name,
                         OPTION_PARTS_MAX);
    if (size >= OPTION_TEXT_MAX)
        return error_set(err, "--%s: all values together are longer than %d bytes", name,
                         OPTION_TEXT_MAX - 1);
    free(*lines);
    *lines = sum;
    sum = NULL;
    return 0;
}

static int replace(char **value, const char *text, const char *name, struct error *err) {
    char *copy = strdup(text);
    if (!copy)
        return error_errno(err, "--%s", name);
    free(*value);
    *value = copy;
    return 0;
}

int option_values_take(struct option_values *values, enum option_id id, const char *text,
                       const char *directory, struct error *err) {
    const struct option_rule *rule = &option_rules[id];
    if (option_check(id, text, err) != 0)
        return -1;
    if (rule->is_flag)
        text = option_flag_value(text);
    cleanup_free char *anchored = NULL;
    if (rule->anchor && rule->anchor(text, directory, &anchored, err) != 0)
        return -1;
    if (anchored)
        text = anchored;
    return (rule->adds_up ? add : replace)(&values->text[id], text, rule->name, err);
}

int option_values_take_lines(struct option_values *values, enum option_id id, const char *lines,
                             const char *directory, struct error *err) {
    if (!lines)
        return 0;
    if (!option_rules[id].adds_up)
        return option_values_take(values, id, lines, directory, err);
    for (const char *line = lines;; line++) {
        const char *end = line_end(line);
        cleanup_free char *copy = strndup(line, (size_t)(end - line));
        if (!copy)
            return error_errno(err, "--%s", option_rules[id].name);
        if (option_values_take(values, id, copy, directory, err) != 0)
            return -1;
        if (*end == '\0')
            return 0;
        line = end;
    }
}

void option_values_drop(struct option_values *values, enum option_id id) {
    free(values->text[id]);
    values->text[id] = NULL;
}

void option_values_clear(struct option_values *values) {
    for (enum option_id id = 0; id < OPTION_COUNT; id++)
        option_values_drop(values, id);
}

bool option_values_is_yes(const struct option_values *values, enum option_id id) {
    return values->text[id] && strcmp(values->text[id], "yes") == 0;
}

static bool is_same(const char *a, const char *b) {
    return a && b ? strcmp(a, b) == 0 : a == b;
}

enum option_id option_values_difference(const struct option_values *a, const struct option_values *b) {
    enum option_id id = 0;
    while (id < OPTION_COUNT && is_same(a->text[id], b->text[id]))
        id++;
    return id;
}

static size_t count_lines(const char *text) {
    size_t count = 1;
    for (; *text; text++)
        count += *text == '\n';
    return count;
}

// Writes "NAME=LINE" for each line to *at, and where they are to *list.
static void write_helper_options(const char *name, const char *lines, char ***list, char **at) {
    for (;; lines++) {
        const char *end = line_end(lines);
        *(*list)++ = *at;
        *at += sprintf(*at, "%s=%.*s", name, (int)(end - lines), lines) + 1;
        if (*end == '\0')
            return;
        lines = end;
    }
}

char **option_values_for_helper(const struct option_values *values) {
    size_t count = 0, bytes = 0;
    for (enum option_id id = 0; id < OPTION_COUNT; id++) {
        size_t lines = values->text[id] ? count_lines(values->text[id]) : 0;
        count += lines;
        bytes += lines ? strlen(values->text[id]) + lines * HELPER_NAME_MAX : 0;
    }
    char **list = malloc((count + 1) * sizeof *list + bytes);
    if (!list)
        return NULL;
    char **next = list;
    char *at = (char *)(list + count + 1);
    for (enum option_id id = 0; id < OPTION_COUNT; id++) {
        if (values->text[id] && option_rules[id].for_helper)
            write_helper_options(option_rules[id].name + strlen("image-"), values->text[id], &next, &at);
    }
    *next = NULL;
    return list;
}
