#include "nearest_name.h"

#include <ctype.h>
#include <string.h>

// Of the known names; a longer text is near to none.
enum { COMPARED_MAX = 32 };

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

// Levenshtein's distance: letters to insert, remove or replace.
static size_t edit_distance(const char *a, const char *b) {
    size_t row[COMPARED_MAX + 1], columns = strlen(b);
    for (size_t j = 0; j <= columns; j++)
        row[j] = j;
    for (size_t i = 1; i <= strlen(a); i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= columns; j++) {
            size_t replaced =
                diagonal + (tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]));
            diagonal = row[j];
            row[j] = smaller(replaced, smaller(row[j], row[j - 1]) + 1);
        }
    }
    return row[columns];
}

const char *nearest_name(const char *name, const char *const *known, size_t count) {
    size_t length = strlen(name);
    if (length > COMPARED_MAX)
        return NULL;
    const char *nearest = NULL;
    size_t best = (length / 3 > 2 ? length / 3 : 2) + 1;
    for (size_t i = 0; i < count; i++) {
        size_t distance = edit_distance(name, known[i]);
        if (distance < best) {
            best = distance;
            nearest = known[i];
        }
    }
    return nearest;
}
