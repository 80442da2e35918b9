#include "image_source.h"
#include "tap.h"

#include <stdlib.h>
#include <string.h>

// Shared with wrapper/image/source.ts, which explains the format.
static const char TABLE[] = "test/support/references.tsv";

enum { TEXT, VERDICT, OUTCOME, SELECTOR, COLUMNS };

// Undoes \n, \t, \\ and \xNN in place.
static void unescape(char *cell) {
    char *to = cell;
    for (const char *at = cell; *at; to++) {
        if (at[0] != '\\') {
            *to = *at++;
        } else if (at[1] == 'x') {
            char hex[3] = {at[2], at[3], '\0'};
            *to = (char)strtol(hex, NULL, 16);
            at += 4;
        } else {
            *to = at[1] == 'n' ? '\n' : at[1] == 't' ? '\t' : at[1];
            at += 2;
        }
    }
    *to = '\0';
}

static void check_row(unsigned line, char *cells[COLUMNS]) {
    struct image_source source = {.location = "untouched"};
    struct error err = {.text = ""};
    bool accepted = image_source_parse(cells[TEXT], &source, &err) == 0;
    const char *verdict = !accepted ? "refused" : source.scheme == IMAGE_REGISTRY ? "registry" : "local";
    if (!ok(strcmp(verdict, cells[VERDICT]) == 0, "line %u is %s: %s", line, cells[VERDICT], cells[OUTCOME]))
        printf("# %s\n", err.text);
    if (!accepted) {
        ok(err.text[0] != '\0' && !strstr(err.text, "s3cret"), "line %u says why, and no password", line);
        is_text(source.location, "untouched", "it leaves the result alone");
    } else if (source.scheme != IMAGE_REGISTRY) {
        char *path = strndup(source.location, source.path_length);
        is_text(path, cells[OUTCOME], "its path");
        is_text(source.selector, cells[SELECTOR], "its selector");
        free(path);
    }
}

static void check_table(void) {
    FILE *table = fopen(TABLE, "r");
    if (!ok(table != NULL, "the table of references is there"))
        return;
    char *row = NULL;
    size_t size = 0, rows = 0;
    for (unsigned line = 1; getline(&row, &size, table) > 0; line++) {
        row[strcspn(row, "\n")] = '\0';
        if (row[0] == '\0' || strcmp(row, "#") == 0 || strncmp(row, "# ", 2) == 0)
            continue;
        char *cells[COLUMNS] = {"", "", "", ""};
        char *rest = row;
        for (int i = 0; i < COLUMNS && rest; i++)
            unescape(cells[i] = strsep(&rest, "\t"));
        check_row(line, cells);
        rows++;
    }
    ok(rows > 100, "the table has %zu rows", rows);
    free(row);
    fclose(table);
}

static void check_schemes(void) {
    static const struct {
        const char *text;
        enum image_scheme scheme;
    } CASES[] = {{"ubuntu", IMAGE_REGISTRY},
                 {"oci:dir", IMAGE_OCI},
                 {"oci-archive:x.tar", IMAGE_OCI_ARCHIVE},
                 {"docker-archive:x.tar", IMAGE_DOCKER_ARCHIVE},
                 {"./x.tar", IMAGE_PATH},
                 {"@my_env-1.2", IMAGE_ENVIRONMENT}};
    struct error err;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct image_source source;
        ok(image_source_parse(CASES[i].text, &source, &err) == 0 && source.scheme == CASES[i].scheme,
           "tells the scheme of %s", CASES[i].text);
    }
}

static void check_environments(void) {
    static const char *const WRONG[] = {"@", "@.hidden", "@-x", "@..", "@a/b", "@a b", "@a:1", "@\xc3\xa4"};
    char name[ENVIRONMENT_NAME_MAX + 3];
    struct image_source source;
    struct error err;
    ok(image_source_parse("@x", &source, &err) == 0 && strcmp(source.location, "x") == 0,
       "an environment has a name");
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        ok(image_source_parse(WRONG[i], &source, &err) == -1, "%s is none", WRONG[i]);
        says(err.text, "no name of an environment", "and it says so");
    }
    memset(name, 'a', sizeof name);
    name[0] = '@';
    name[sizeof name - 1] = '\0';
    ok(image_source_parse(name, &source, &err) == -1, "it has at most 128 letters");
    name[sizeof name - 2] = '\0';
    ok(image_source_parse(name, &source, &err) == 0, "which it may have");
    ok(image_source_parse("@config", &source, &err) == -1, "the file of defaults is none");
    says(err.text, "choose another", "and it says so");
}

static void check_long_texts(void) {
    static char text[64 * 1024 + 1];
    struct image_source source;
    struct error err;
    memset(text, 'a', sizeof text - 1);
    text[0] = '/';
    ok(image_source_parse(text, &source, &err) == -1, "refuses 64 KiB");
    says(err.text, "longer than 4096 bytes", "says that 64 KiB are too long");
    text[IMAGE_TEXT_MAX] = '\0';
    ok(image_source_parse(text, &source, &err) == 0, "takes a path of 4096 bytes");
    memset(text, '.', IMAGE_TEXT_MAX);
    ok(image_source_parse(text, &source, &err) == -1, "refuses 4096 dots");
    says(err.text, "for a file of that name", "gives the whole reason even then");
}

int main(void) {
    struct image_source source;
    struct error err;
    ok(image_source_parse(NULL, &source, &err) == -1, "refuses a missing text");
    says(err.text, "for example --image=ubuntu:24.04", "with an example");
    ok(image_source_parse("", &source, &err) == -1, "refuses an empty text");
    says(err.text, "for example --image=ubuntu:24.04", "with an example");
    check_table();
    check_schemes();
    check_environments();
    check_long_texts();
    return tap_done();
}
