#include "enter/save_target.h"
#include "scratch.h"
#include "tap.h"

static char path[PATH_MAX];
static int directory;
static struct save_target target;
static struct error err;

static void check_refusal(const char *file, const char *base, const char *reason, const char *claim) {
    err.text[0] = '\0';
    if (!ok(save_target_open(&target, file, base, &err) == -1 && strstr(err.text, reason) &&
                strncmp(err.text, "--image-save=", 13) == 0,
            "%s", claim))
        printf("# %s\n", err.text);
}

static bool write_target(const char *text) {
    return write(target.file, text, strlen(text)) == (ssize_t)strlen(text);
}

static void end_target(void) {
    save_target_abandon(&target);
    close(target.file);
    close(target.directory);
}

static unsigned count_entries(void) {
    char command[PATH_MAX + 32];
    snprintf(command, sizeof command, "ls -A '%s' | wc -l", path);
    FILE *out = popen(command, "r");
    unsigned count = 99;
    must(out && fscanf(out, "%u", &count) == 1, command);
    pclose(out);
    return count;
}

static void check_formats(void) {
    static const struct {
        const char *name;
        enum save_format format;
    } NAMES[] = {{"a.sqsh", SAVE_SQUASHFS}, {"a.squashfs", SAVE_SQUASHFS}, {"a.b.tar", SAVE_OCI}};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        ok(save_target_open(&target, NAMES[i].name, path, &err) == 0 && target.format == NAMES[i].format,
           "knows what %s is to be", NAMES[i].name);
        end_target();
    }
    check_refusal("a.img", path, "must end in", "refuses a name without a format");
    check_refusal("tar", path, "must end in", "refuses a name that is only a format");
    check_refusal("a.tar.gz", path, "must end in", "refuses a format that is not written");
}

static void check_publishing(void) {
    ok(save_target_open(&target, "x.tar", path, &err) == 0 && write_target("new"), "begins a file");
    ok(!exists(directory, "x.tar") && count_entries() == 0, "which is not seen before it is whole");
    ok(save_target_publish(&target, &err) == 0 && file_holds(directory, "x.tar", "new"), "puts it in place");
    end_target();
    ok(count_entries() == 1, "and leaves nothing beside it");

    ok(save_target_open(&target, "x.tar", path, &err) == 0 && write_target("newer"), "begins it once more");
    ok(file_holds(directory, "x.tar", "new"), "while the old one stays");
    end_target();
    ok(file_holds(directory, "x.tar", "new") && count_entries() == 1, "also when the new one is given up");

    must(save_target_open(&target, "x.tar", path, &err) == 0 && write_target("newer"), "x.tar");
    ok(save_target_publish(&target, &err) == 0 && file_holds(directory, "x.tar", "newer"), "replaces it");
    end_target();
    must(save_target_open(&target, "x.tar", path, &err) == 0, "x.tar");
    unlinkat(directory, "x.tar", 0);
    make_directory(directory, "x.tar", 0700);
    ok(save_target_publish(&target, &err) == -1, "does not replace a directory that came meanwhile");
    says(err.text, "a directory is there", "and says so");
    end_target();
    ok(count_entries() == 1, "and leaves nothing beside it");
}

static void check_places(void) {
    check_refusal("x.tar", path, "a directory is there", "refuses a directory");
    must(symlinkat("x.tar", directory, "link.tar") == 0, "symlink");
    check_refusal("link.tar", path, "a symbolic link is there", "refuses a link");
    must(mkfifoat(directory, "fifo.tar", 0600) == 0, "mkfifo");
    check_refusal("fifo.tar", path, "no regular file", "refuses a FIFO, at once");
    check_refusal("no/x.tar", path, "cannot open the directory", "refuses a missing directory");
    check_refusal("/etc/x.tar", path, "cannot write to its directory", "refuses another user's directory");
    check_refusal("x.tar", "", "write the whole path", "refuses a relative path that starts nowhere");
    char name[NAME_MAX + 8];
    memset(name, 'x', sizeof name);
    strcpy(name + sizeof name - 5, ".tar");
    check_refusal(name, path, "too long", "refuses a name beyond NAME_MAX");
}

int main(void) {
    become_ordinary();
    directory = scratch_make(path);
    check_formats();
    check_publishing();
    check_places();
    scratch_remove(path);
    return tap_done();
}
