#include "account_restore.h"
#include "cleanup.h"
#include "in_root.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_MAX_BYTES = 1 << 20 };

// A file of the container or image as text, owned by the caller; NULL if it is not there, or too large to
// have been changed by us.
static char *read_text(int root, const char *path) {
    struct stat info;
    cleanup_close int fd = root < 0 ? -1 : in_root_open(root, path, O_RDONLY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size > FILE_MAX_BYTES)
        return NULL;
    char *text = calloc(1, (size_t)info.st_size + 1);
    if (text && pread(fd, text, (size_t)info.st_size, 0) < 0)
        text[0] = '\0';
    return text;
}

static mode_t mode_of(int root, const char *path, mode_t otherwise) {
    struct stat info;
    cleanup_close int fd = root < 0 ? -1 : in_root_open(root, path, O_PATH);
    return fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) ? info.st_mode & 07777 : otherwise;
}

// The image's, unless a rank chose another.
static mode_t restored_mode(int image, int root, const char *path) {
    mode_t now = mode_of(root, path, ACCOUNT_FILE_MODE);
    return now == ACCOUNT_FILE_MODE ? mode_of(image, path, now) : now;
}

static bool has_line(const char *text, const char *line, size_t length) {
    for (const char *at = text; at && *at; at = strchr(at, '\n'), at += at ? 1 : 0) {
        if (strncmp(at, line, length) == 0 && (at[length] == '\n' || at[length] == '\0'))
            return true;
    }
    return false;
}

// Writes the lines of `text` for which `others` has none, and that are not `own`.
static void write_missing(FILE *out, const char *text, const char *others, const char *own) {
    for (const char *at = text; *at;) {
        size_t length = strcspn(at, "\n");
        bool is_own = own && strlen(own) == length && strncmp(at, own, length) == 0;
        if (length > 0 && !is_own && !(others && has_line(others, at, length)))
            fprintf(out, "%.*s\n", (int)length, at);
        at += length + (at[length] == '\n');
    }
}

// Those of the image first, as they were, then what ranks added. A line of the image that a rank removed or
// changed cannot be told from one that gave way to the user's: only lines of the user's name or number do.
static char *restored(const char *now, const char *original, const char *own, struct error *err) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (!out) {
        error_errno(err, "cannot hold the accounts");
        return NULL;
    }
    for (const char *at = original ? original : ""; *at;) {
        size_t line = strcspn(at, "\n");
        if (line > 0 && (has_line(now, at, line) || account_line_gives_way(at, line, own)))
            fprintf(out, "%.*s\n", (int)line, at);
        at += line + (at[line] == '\n');
    }
    write_missing(out, now, original, own);
    fclose(out);
    return text;
}

static int restore_file(int image, int root, const char *path, const char *own, struct error *err) {
    cleanup_free char *now = read_text(root, path);
    cleanup_free char *original = read_text(image, path);
    // A rank removed it, or has put its own in place.
    if (!now || !has_line(now, own, strlen(own)))
        return 0;
    cleanup_free char *text = restored(now, original, own, err);
    if (!text)
        return -1;
    mode_t mode = restored_mode(image, root, path);
    cleanup_close int fd = in_root_replace(root, path, mode, err);
    if (fd < 0)
        return -1;
    size_t length = strlen(text);
    if (write(fd, text, length) != (ssize_t)length || fchmod(fd, mode) != 0)
        return error_errno(err, "cannot write %s", path);
    if (length > 0 || original)
        return 0;
    // The image has none.
    close(steal_fd(&fd));
    cleanup_close int directory = in_root_open(root, "/etc", O_PATH | O_DIRECTORY);
    return unlinkat(directory, strrchr(path, '/') + 1, 0) == 0 ? 0
                                                               : error_errno(err, "cannot remove %s", path);
}

int account_restore(const struct account *account, int image, int root, struct error *err) {
    if (restore_file(image, root, "/etc/passwd", account->passwd_line, err) != 0)
        return -1;
    return restore_file(image, root, "/etc/group", account->group_line, err);
}
