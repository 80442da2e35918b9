#include "named_shape.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_of_shape(const char *name) {
    static const char *const NAMES[] = {"mount", "home", "writable", "root", "device", "unshare"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        if (strcmp(name, NAMES[i]) == 0)
            return true;
    }
    return false;
}

int named_shape_describe(const struct options *options, struct named_record *record, struct error *err) {
    size_t length = 0;
    FILE *out = open_memstream(&record->text, &length);
    record->options = calloc(options->given_count + 1, sizeof *record->options);
    if (!out || !record->options)
        return error_errno(err, "cannot hold the options");
    for (size_t i = 0; i < options->given_count; i++) {
        if (is_of_shape(options->given[i].name))
            fprintf(out, "%s=%s%c", options->given[i].name, options->given[i].value, 0);
    }
    if (fclose(out) != 0)
        return error_errno(err, "cannot hold the options");
    for (char *at = record->text; at < record->text + length; at += strlen(at) + 1)
        record->options[record->option_count++] = at;
    return 0;
}

static bool is_recorded(const struct named_record *record, const struct given_option *given) {
    size_t length = strlen(given->name);
    for (size_t i = 0; i < record->option_count; i++) {
        const char *option = record->options[i];
        if (strncmp(option, given->name, length) == 0 && option[length] == '=' &&
            strcmp(option + length + 1, given->value) == 0)
            return true;
    }
    return false;
}

static int refuse(const struct given_option *given, struct error *err) {
    bool of_file = given->origin && given->origin[0] != '\0';
    return error_set(
        err,
        "it runs already, made without %s%s '%.200s'; a step that joins it takes it as it is, so "
        "leave that out, or let the step have it that starts the container",
        of_file ? "" : "--image-", of_file ? given->origin : given->name, given->value);
}

// Drops what shapes a container: what remains was accepted, and comes back with the record.
static void drop_shape(struct options *options) {
    size_t kept = 0;
    for (size_t i = 0; i < options->given_count; i++) {
        if (is_of_shape(options->given[i].name))
            free(options->given[i].name);
        else
            options->given[kept++] = options->given[i];
    }
    options->given_count = kept;
}

// Nobody need have asked for it.
static bool pyxis_takes_for_granted(const char *name) {
    return strcmp(name, "home") == 0 || strcmp(name, "root") == 0 || strcmp(name, "writable") == 0;
}

int named_shape_adopt(const struct named_record *record, struct options *options, struct error *err) {
    for (size_t i = 0; i < options->given_count; i++) {
        const struct given_option *given = &options->given[i];
        if (is_of_shape(given->name) && !is_recorded(record, given) &&
            !(options->pyxis && pyxis_takes_for_granted(given->name)))
            return refuse(given, err);
    }
    drop_shape(options);
    for (size_t i = 0; i < record->option_count; i++) {
        if (options_add_given(options, record->options[i], err) != 0)
            return -1;
    }
    return 0;
}
