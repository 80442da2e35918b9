#include "account.h"
#include "cleanup.h"
#include "in_root.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
    // An image's /etc/passwd above this size is left out rather than copied.
    FILE_MAX_BYTES = 1 << 20,
    PASSWD_FIELDS = 7,
    PASSWD_HOME = 5,
    GROUP_FIELDS = 4,
};

int account_read(struct account *account, struct error *err) {
    const struct passwd *user = getpwuid(getuid());
    const char *home = user && user->pw_dir[0] == '/' ? user->pw_dir : getenv("HOME");
    if (!home || home[0] != '/')
        home = "/";
    struct account read = {0};
    int made = 0;
    if (user)
        made = asprintf(&read.passwd_line, "%s:x:%u:%u:%s:%s:%s", user->pw_name, getuid(), getgid(),
                        user->pw_gecos, home, user->pw_shell);
    else
        made = asprintf(&read.passwd_line, "user%u:x:%u:%u::%s:/bin/sh", getuid(), getuid(), getgid(), home);
    read.home = made < 0 ? NULL : strdup(home);

    const struct group *group = getgrgid(getgid());
    if (made >= 0 && group)
        made = asprintf(&read.group_line, "%s:x:%u:", group->gr_name, getgid());
    else if (made >= 0)
        made = asprintf(&read.group_line, "group%u:x:%u:", getgid(), getgid());
    if (made < 0 || !read.home) {
        account_release(&read);
        errno = ENOMEM;
        return error_errno(err, "cannot hold the user's account");
    }
    *account = read;
    return 0;
}

void account_release(struct account *account) {
    free(account->passwd_line);
    free(account->group_line);
    free(account->home);
}

// The first and the third field: name and number.
bool account_line_gives_way(const char *line, size_t length, const char *own) {
    size_t name = strcspn(own, ":");
    if (length > name && memcmp(line, own, name + 1) == 0)
        return true;
    const char *own_number = strchr(own + name + 1, ':') + 1;
    size_t digits = strcspn(own_number, ":");
    const char *at = memchr(line, ':', length);
    at = at ? memchr(at + 1, ':', length - (size_t)(at + 1 - line)) : NULL;
    return at && length - (size_t)(at + 1 - line) > digits && memcmp(at + 1, own_number, digits + 1) == 0;
}

static void write_others(FILE *out, const char *text, size_t length, const char *own) {
    for (const char *end = text + length; text < end;) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *line_end = newline ? newline : end;
        if (line_end > text && !account_line_gives_way(text, (size_t)(line_end - text), own))
            fprintf(out, "%.*s\n", (int)(line_end - text), text);
        text = line_end + 1;
    }
}

// Reads a file of the image whole. A missing, unreadable or oversized one reads as empty.
static size_t read_image_file(int root, const char *path, char *buffer) {
    cleanup_close int fd = in_root_open(root, path, O_RDONLY | O_NONBLOCK);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size > FILE_MAX_BYTES)
        return 0;
    ssize_t got = pread(fd, buffer, FILE_MAX_BYTES, 0);
    return got > 0 ? (size_t)got : 0;
}

// The fields of passwd(5) and group(5), of which a line that is of use has `wanted`. Returns whether it has.
static bool split(char *line, char *fields[], size_t wanted) {
    size_t count = 0;
    for (char *field; count < wanted && (field = strsep(&line, ":"));)
        fields[count++] = field;
    return count == wanted && !line;
}

// The first line of the image's file whose number is 0, or NULL.
static char *find_root(int root, const char *path, size_t wanted) {
    cleanup_free char *text = malloc(FILE_MAX_BYTES + 1);
    if (!text)
        return NULL;
    text[read_image_file(root, path, text)] = '\0';
    for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
        char *fields[PASSWD_FIELDS];
        cleanup_free char *copy = strdup(line);
        if (copy && split(copy, fields, wanted) && fields[0][0] != '\0' && strcmp(fields[2], "0") == 0)
            return strdup(line);
    }
    return NULL;
}

static bool has_home(const char *passwd_line) {
    char *fields[PASSWD_FIELDS];
    cleanup_free char *copy = strdup(passwd_line);
    return copy && split(copy, fields, PASSWD_FIELDS) && fields[PASSWD_HOME][0] == '/';
}

int account_of_root(struct account *account, int root, struct error *err) {
    struct account read = {.passwd_line = find_root(root, "/etc/passwd", PASSWD_FIELDS),
                           .group_line = find_root(root, "/etc/group", GROUP_FIELDS)};
    if (!read.passwd_line || !has_home(read.passwd_line)) {
        free(read.passwd_line);
        read.passwd_line = strdup("root:x:0:0:root:/root:/bin/sh");
    }
    if (!read.group_line)
        read.group_line = strdup("root:x:0:");
    char *fields[PASSWD_FIELDS];
    cleanup_free char *copy = read.passwd_line ? strdup(read.passwd_line) : NULL;
    if (copy && split(copy, fields, PASSWD_FIELDS))
        read.home = strdup(fields[PASSWD_HOME]);
    if (!read.home || !read.group_line) {
        account_release(&read);
        errno = ENOMEM;
        return error_errno(err, "cannot hold the account of root");
    }
    *account = read;
    return 0;
}

static int write_merged(int root, const char *path, const char *own, struct error *err) {
    cleanup_free char *theirs = malloc(FILE_MAX_BYTES);
    if (!theirs)
        return error_errno(err, "cannot read %s of the image", path);
    size_t length = read_image_file(root, path, theirs);
    cleanup_close int fd = in_root_replace(root, path, ACCOUNT_FILE_MODE, err);
    if (fd < 0)
        return -1;
    FILE *out = fdopen(fd, "w");
    if (!out)
        return error_errno(err, "cannot write %s in the container", path);
    fd = -1;
    fprintf(out, "%s\n", own);
    write_others(out, theirs, length, own);
    if (fclose(out) != 0)
        return error_errno(err, "cannot write %s in the container", path);
    return 0;
}

int account_write(const struct account *account, int root, struct error *err) {
    if (write_merged(root, "/etc/passwd", account->passwd_line, err) != 0)
        return -1;
    return write_merged(root, "/etc/group", account->group_line, err);
}
