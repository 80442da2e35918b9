#include "enter/remove_tree.h"
#include "scratch.h"
#include "tap.h"

#include <sys/resource.h>

static char base[PATH_MAX];
static int fd;

static bool removes(const char *name) {
    struct error err;
    if (remove_tree(fd, name, &err) == 0)
        return !exists(fd, name);
    printf("# %s\n", err.text);
    return false;
}

static bool canary_sings(void) {
    struct stat info;
    return fstatat(fd, "canary", &info, 0) == 0 && (info.st_mode & 0777) == 0755 &&
           file_holds(fd, "canary/song", "tweet");
}

static void make_deep(int at, unsigned depth) {
    int current = dup(at);
    for (unsigned i = 0; i < depth; i++) {
        make_directory(current, "d", 0700);
        int next = openat(current, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        must(next >= 0, "d");
        close(current);
        current = next;
    }
    make_file(current, "leaf", "", 0400);
    close(current);
}

static int make_top(const char *name) {
    make_directory(fd, name, 0755);
    int top = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(top >= 0, name);
    return top;
}

static unsigned open_descriptors(void) {
    unsigned count = 0;
    for (int i = 0; i < 256; i++)
        count += fcntl(i, F_GETFD) >= 0;
    return count;
}

static void check_odd_names_deep_down(void) {
    int top = make_top("collision");
    // Names that the removal itself might use for what it moves up.
    for (unsigned i = 0; i < 8; i++) {
        char name[32];
        snprintf(name, sizeof name, ".deep-%u", i);
        make_directory(top, name, 0700);
        int inner = openat(top, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        make_deep(inner, 150);
        close(inner);
    }
    close(top);
    ok(removes("collision"), "removes deep trees whatever their directories are called");

    top = make_top("file-collision");
    make_deep(top, 150);
    make_file(top, ".deep-0", "", 0600);
    make_directory(top, "b", 0700);
    int b = openat(top, "b", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    make_deep(b, 150);
    close(b);
    close(top);
    ok(removes("file-collision"), "removes a deep tree beside a file named .deep-0");
}

int main(void) {
    // Far fewer than the levels below.
    must(setrlimit(RLIMIT_NOFILE, &(struct rlimit){256, 256}) == 0, "setrlimit");
    become_ordinary();
    fd = scratch_make(base);
    make_directory(fd, "canary", 0755);
    make_file(fd, "canary/song", "tweet", 0644);

    ok(removes("missing"), "is content when there is nothing");
    close(make_top("empty"));
    ok(removes("empty"), "removes an empty directory");

    int top = make_top("closed");
    make_directory(top, "locked", 0700);
    make_file(top, "locked/file", "", 0);
    make_directory(top, "locked/inner", 0700);
    make_file(top, "locked/inner/file", "", 0);
    must(fchmodat(top, "locked/inner", 0, 0) == 0 && fchmodat(top, "locked", 0, 0) == 0, "chmod");
    must(fchmod(top, 0) == 0, "chmod");
    close(top);
    ok(removes("closed"), "removes directories of mode 000 and what is in them");

    top = make_top("read-only");
    make_directory(top, "inner", 0700);
    make_file(top, "inner/file", "", 0400);
    must(fchmodat(top, "inner", 0555, 0) == 0 && fchmod(top, 0555) == 0, "chmod");
    close(top);
    ok(removes("read-only"), "removes read-only directories and what is in them");

    top = make_top("links");
    must(symlinkat("../canary", top, "relative") == 0, "symlink");
    char absolute[PATH_MAX + 8];
    snprintf(absolute, sizeof absolute, "%s/canary", base);
    must(symlinkat(absolute, top, "absolute") == 0, "symlink");
    must(symlinkat("/nowhere", top, "dangling") == 0, "symlink");
    must(mkfifoat(top, "fifo", 0600) == 0, "mkfifo");
    must(linkat(fd, "canary/song", top, "hard", 0) == 0, "link");
    close(top);
    ok(removes("links"), "removes symlinks, FIFOs and hard links");
    ok(canary_sings(), "leaves alone what they lead to");

    must(symlinkat("canary", fd, "top") == 0, "symlink");
    must(fchmodat(fd, "canary", 0755, 0) == 0, "chmod");
    struct error err;
    remove_tree(fd, "top", &err);
    ok(canary_sings(), "neither empties nor changes the target when the name itself is a symlink");

    unsigned before = open_descriptors();
    top = make_top("deep");
    make_deep(top, 1000);
    close(top);
    ok(removes("deep"), "removes 1000 levels");
    check_odd_names_deep_down();
    ok(open_descriptors() == before, "leaves no descriptor open");

    top = make_top("wide");
    for (unsigned i = 0; i < 3000; i++) {
        char name[32];
        snprintf(name, sizeof name, "file-%u", i);
        make_file(top, name, "", 0600);
    }
    close(top);
    ok(removes("wide"), "removes 3000 entries of one directory");
    ok(canary_sings(), "the canary beside the trees is alive");

    if (geteuid() != getuid())
        must(seteuid(0) == 0, "seteuid");
    scratch_remove(base);
    return tap_done();
}
