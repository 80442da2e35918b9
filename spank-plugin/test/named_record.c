#include "enter/named_record.h"
#include "scratch.h"
#include "tap.h"

#include <unistd.h>

static int directory;
static struct named_record record;
static struct error err;

static bool is_empty(void) {
    return record.image[0] == '\0' && record.base[0] == '\0' && record.digest[0] == '\0' &&
           record.tree[0] == '\0' && record.option_count == 0;
}

static void write_text(const char *text, size_t length) {
    unlinkat(directory, NAMED_RECORD, 0);
    cleanup_close int fd = openat(directory, NAMED_RECORD, O_WRONLY | O_CREAT | O_EXCL, 0600);
    must(fd >= 0 && write(fd, text, length) == (ssize_t)length, NAMED_RECORD);
}

// Sparse.
static void make_large(void) {
    cleanup_close int fd = openat(directory, NAMED_RECORD, O_WRONLY);
    must(fd >= 0 && ftruncate(fd, (off_t)1 << 30) == 0, NAMED_RECORD);
}

static void check_refusal(const char *reason, const char *claim) {
    err.text[0] = '\0';
    if (!ok(named_record_read(directory, &record, &err) == -1 && strstr(err.text, reason), "%s", claim))
        printf("# %s\n", err.text);
}

static void check_round(void) {
    char *options[] = {"mount=/a:/b,c", "root=yes", "env="};
    const struct named_record written = {.image = "app:1",
                                         .base = "/home/user",
                                         .digest = "sha256:1",
                                         .tree = "sha256-1",
                                         .options = options,
                                         .option_count = 3};
    ok(named_record_write(directory, &written, &err) == 0, "writes a record");
    ok(named_record_read(directory, &record, &err) == 0, "reads it");
    is_text(record.image, "app:1", "with its image");
    is_text(record.base, "/home/user", "where a relative path starts");
    is_text(record.digest, "sha256:1", "its digest");
    is_text(record.tree, "sha256-1", "its tree");
    ok(record.option_count == 3 && strcmp(record.options[0], options[0]) == 0 &&
           strcmp(record.options[1], options[1]) == 0 && strcmp(record.options[2], options[2]) == 0,
       "and its options");
    named_record_release(&record);

    const struct named_record less = {.image = "/dir", .base = "", .digest = "", .tree = ""};
    ok(named_record_write(directory, &less, &err) == 0 && named_record_read(directory, &record, &err) == 0,
       "writes another in its place");
    ok(strcmp(record.image, "/dir") == 0 && record.digest[0] == '\0' && record.option_count == 0,
       "of which nothing of the first is left");
    named_record_release(&record);
}

int main(void) {
    char path[PATH_MAX];
    become_ordinary();
    directory = scratch_make(path);

    ok(named_record_read(directory, &record, &err) == 0 && is_empty(), "a record that is not there is empty");
    named_record_release(&record);
    check_round();

    write_text("a\0b\0c", 5);
    check_refusal("take another name", "refuses a record with too few fields");
    write_text("a\0b\0c\0d\0e", 9);
    check_refusal("take another name", "refuses a record that breaks off");
    write_text("", 0);
    check_refusal("take another name", "refuses an empty file");
    make_large();
    check_refusal("cannot read", "refuses a file that is too large");
    unlinkat(directory, NAMED_RECORD, 0);
    must(mkfifoat(directory, NAMED_RECORD, 0600) == 0, "mkfifo");
    check_refusal("cannot read", "refuses a FIFO, at once");
    unlinkat(directory, NAMED_RECORD, 0);
    must(symlinkat("/etc/passwd", directory, NAMED_RECORD) == 0, "symlink");
    check_refusal("cannot read", "does not follow a link");
    unlinkat(directory, NAMED_RECORD, 0);
    make_directory(directory, NAMED_RECORD, 0700);
    const struct named_record any = {.image = "a", .base = "", .digest = "", .tree = ""};
    ok(named_record_write(directory, &any, &err) == -1, "cannot write where a directory is");
    scratch_remove(path);
    return tap_done();
}
