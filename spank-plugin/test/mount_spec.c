#include "mount_spec.h"
#include "tap.h"

#include <stdlib.h>

// Shared with the tests of wrapper/settings/mount-spec.ts; the table explains itself.
static const char TABLE[] = "test/support/mounts.tsv";

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

static void check_row(unsigned line, const char *text, const char *outcome) {
    struct error err = {.text = ""};
    int result = mount_spec_check(text, &err);
    if (strcmp(outcome, "ok") == 0) {
        if (!ok(result == 0, "line %u is taken", line))
            printf("# %s\n", err.text);
    } else if (ok(result == -1, "line %u is refused", line)) {
        says(err.text, outcome, "and says why");
        says(err.text, "--image-mount: \"", "and what");
    }
}

static void check_table(void) {
    FILE *table = fopen(TABLE, "r");
    if (!ok(table != NULL, "the table of mounts is there"))
        return;
    char *row = NULL;
    size_t size = 0, rows = 0;
    for (unsigned line = 1; getline(&row, &size, table) > 0; line++) {
        row[strcspn(row, "\n")] = '\0';
        if (row[0] == '\0' || strcmp(row, "#") == 0 || strncmp(row, "# ", 2) == 0)
            continue;
        char *outcome = row;
        char *text = strsep(&outcome, "\t");
        if (!ok(outcome != NULL, "line %u has an outcome", line))
            continue;
        unescape(text);
        unescape(outcome);
        check_row(line, text, outcome);
        rows++;
    }
    ok(rows > 90, "the table has %zu rows", rows);
    free(row);
    fclose(table);
}

static void anchors(const char *text, const char *directory, const char *wanted) {
    struct error err;
    char *anchored = NULL;
    ok(mount_spec_check(text, &err) == 0 && mount_spec_anchor(text, directory, &anchored, &err) == 0,
       "anchors %s", text);
    is_text(anchored ? anchored : "", wanted, "at its directory");
    free(anchored);
}

int main(void) {
    check_table();
    anchors("/a:/b,~/c:/d", "/here", "/a:/b,~/c:/d");
    anchors("./a:/b:ro", "/here", "/here/a:/b:ro");
    anchors("../a", "/here", "/here/../a");
    anchors(".:/b", "/here", "/here/:/b");
    anchors("./a", "/", "/a");
    anchors("/x,./a\\,b:/c,umount:/d", "/here", "/x,/here/a\\,b:/c,umount:/d");
    anchors("./a:/b", "/x:y,z\\", "/x\\:y\\,z\\\\/a:/b");
    return tap_done();
}
