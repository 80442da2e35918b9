#include "named_record.h"
#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

// One NUL-terminated string for each field, and then for each option.
#define HALF NAMED_RECORD ".new"

enum { FIELDS = 4, RECORD_MAX_BYTES = 4 << 20 };

// With a NUL behind the last byte. NULL with errno set.
static char *read_whole(int fd, size_t *length) {
    struct stat info;
    if (fstat(fd, &info) != 0)
        return NULL;
    if (!S_ISREG(info.st_mode) || info.st_size > RECORD_MAX_BYTES) {
        errno = EINVAL;
        return NULL;
    }
    char *text = calloc(1, (size_t)info.st_size + 1);
    ssize_t got = text ? pread(fd, text, (size_t)info.st_size, 0) : -1;
    if (got < 0) {
        free(text);
        return NULL;
    }
    *length = (size_t)got;
    return text;
}

static size_t count_strings(const char *text, size_t length) {
    size_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += text[i] == '\0';
    return count;
}

// Takes over `text`.
static int split(char *text, size_t length, struct named_record *record, struct error *err) {
    size_t count = count_strings(text, length);
    char **options = calloc(count + 1, sizeof *options);
    if (!options || count < FIELDS || text[length - 1] != '\0') {
        free(text);
        free(options);
        return error_set(err, "what was written down of the container cannot be read; take another name");
    }
    struct named_record read = {.text = text, .options = options, .option_count = count - FIELDS};
    char **fields[FIELDS] = {&read.image, &read.base, &read.digest, &read.tree};
    for (size_t i = 0; i < count; i++, text += strlen(text) + 1) {
        if (i < FIELDS)
            *fields[i] = text;
        else
            options[i - FIELDS] = text;
    }
    *record = read;
    return 0;
}

int named_record_read(int directory, struct named_record *record, struct error *err) {
    static char empty[] = "";
    cleanup_close int fd =
        openat(directory, NAMED_RECORD, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        *record = (struct named_record){.image = empty, .base = empty, .digest = empty, .tree = empty};
        return 0;
    }
    size_t length = 0;
    char *text = fd < 0 ? NULL : read_whole(fd, &length);
    if (!text)
        return error_errno(err, "cannot read what was written down of the container");
    return split(text, length, record, err);
}

int named_record_write(int directory, const struct named_record *record, struct error *err) {
    cleanup_close int fd =
        openat(directory, HALF, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
    if (!out)
        return error_errno(err, "cannot write down what the container is made of");
    steal_fd(&fd);
    fprintf(out, "%s%c%s%c%s%c%s%c", record->image, 0, record->base, 0, record->digest, 0, record->tree, 0);
    for (size_t i = 0; i < record->option_count; i++)
        fprintf(out, "%s%c", record->options[i], 0);
    if (fclose(out) != 0 || renameat(directory, HALF, directory, NAMED_RECORD) != 0)
        return error_errno(err, "cannot write down what the container is made of");
    return 0;
}

void named_record_release(struct named_record *record) {
    free(record->options);
    free(record->text);
    *record = (struct named_record){0};
}
