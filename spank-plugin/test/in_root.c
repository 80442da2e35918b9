#include "enter/in_root.h"
#include "scratch.h"
#include "tap.h"

#include <errno.h>

// <outside>/root is the container's root; <outside>/canary must never be reached.
static char outside[PATH_MAX];
static int outside_fd, root;

static void fresh(void) {
    if (outside_fd > 0) {
        close(root);
        close(outside_fd);
        scratch_remove(outside);
    }
    outside_fd = scratch_make(outside);
    make_file(outside_fd, "canary", "tweet", 0600);
    make_directory(outside_fd, "root", 0755);
    root = openat(outside_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    must(root >= 0, "root");
    make_directory(root, "etc", 0755);
    make_file(root, "etc/passwd", "theirs", 0644);
}

static void make_symlink(const char *target, const char *name) {
    must(symlinkat(target, root, name) == 0, name);
}

static bool canary_sings(void) {
    return file_holds(outside_fd, "canary", "tweet");
}

static bool opens(const char *path, const char *wanted) {
    cleanup_close int fd = in_root_open(root, path, O_RDONLY);
    return fd >= 0 && same_file(fd, root, wanted);
}

static void check_open(void) {
    fresh();
    ok(opens("/etc/passwd", "etc/passwd"), "an absolute path starts at the root");
    ok(opens("etc/passwd", "etc/passwd"), "so does a relative one");
    ok(opens("/../../etc/passwd", "etc/passwd"), ".. ends at the root");
    ok(in_root_open(root, "../canary", O_RDONLY) < 0 && errno == ENOENT, ".. does not lead out");

    char absolute[PATH_MAX + 8];
    snprintf(absolute, sizeof absolute, "%s/canary", outside);
    make_symlink(absolute, "absolute");
    ok(in_root_open(root, "absolute", O_RDONLY) < 0, "an absolute symlink does not lead out");
    make_symlink("../canary", "relative");
    ok(in_root_open(root, "relative", O_RDONLY) < 0, "a relative symlink does not lead out");
    make_symlink("/etc", "two");
    make_symlink("/two/../../../etc", "one");
    ok(opens("/one/passwd", "etc/passwd"), "two symlinks in a row stay inside");
    make_symlink("/proc/self/root", "magic");
    make_directory(root, "proc", 0755);
    ok(in_root_open(root, "magic/etc", O_RDONLY) < 0,
       "the way through /proc/self/root is the container's own");
    make_symlink("loop", "loop");
    ok(in_root_open(root, "loop", O_RDONLY) < 0 && errno == ELOOP, "a symlink to itself ends in ELOOP");

    cleanup_close int fd = in_root_open(root, "/etc/passwd", O_RDONLY);
    ok(fcntl(fd, F_GETFD) & FD_CLOEXEC, "what is opened is closed on exec");
}

static void check_make_directory(void) {
    struct error err = {""};
    fresh();
    cleanup_close int deep = in_root_make_directory(root, "/a/b/c", &err);
    ok(deep >= 0 && same_file(deep, root, "a/b/c"), "makes all that is missing above a directory");
    cleanup_close int again = in_root_make_directory(root, "/a/b/c", &err);
    ok(again >= 0 && same_file(again, root, "a/b/c"), "is content with what is there");
    cleanup_close int top = in_root_make_directory(root, "/", &err);
    ok(top >= 0 && same_file(top, root, "."), "takes / for the root");
    cleanup_close int slashes = in_root_make_directory(root, "//x///y//", &err);
    ok(slashes >= 0 && same_file(slashes, root, "x/y"), "reads many slashes as one");

    cleanup_close int up = in_root_make_directory(root, "/../../up/../../side", &err);
    ok(up >= 0 && same_file(up, root, "side") && !exists(outside_fd, "up") && !exists(outside_fd, "side"),
       ".. makes nothing outside");
    make_symlink("/a", "inside");
    cleanup_close int through = in_root_make_directory(root, "/inside/new", &err);
    ok(through >= 0 && same_file(through, root, "a/new"), "goes through a symlink that stays inside");
    make_symlink("../..", "out");
    cleanup_close int held = in_root_make_directory(root, "/out/new", &err);
    ok(held >= 0 && same_file(held, root, "new") && !exists(outside_fd, "new"),
       "a symlink out of the root makes nothing outside");

    make_symlink("/nowhere/at/all", "dangling");
    ok(in_root_make_directory(root, "/dangling/new", &err) == -1, "refuses a symlink that leads nowhere");
    says(err.text, "/dangling", "names that symlink");
    ok(in_root_make_directory(root, "/etc/passwd/new", &err) == -1, "refuses to go through a file");
    says(err.text, "/etc/passwd", "names that file");

    static char long_path[2 * PATH_MAX];
    memset(long_path, 'x', sizeof long_path - 1);
    for (size_t i = 0; i < sizeof long_path - 1; i += 100)
        long_path[i] = '/';
    ok(in_root_make_directory(root, long_path, &err) == -1, "refuses a path of more than PATH_MAX");
}

static void check_make_file(void) {
    struct error err = {""};
    fresh();
    cleanup_close int there = in_root_make_file(root, "/etc/passwd", &err);
    ok(there >= 0 && file_holds(root, "etc/passwd", "theirs"), "leaves a file that is there as it is");
    cleanup_close int made = in_root_make_file(root, "/run/new/file", &err);
    ok(made >= 0 && file_holds(root, "run/new/file", ""), "makes an empty file and what is missing above it");
    ok(fcntl(made, F_GETFL) & O_PATH, "hands out a descriptor to mount on, not to write to");

    make_symlink("passwd", "etc/link");
    cleanup_close int through = in_root_make_file(root, "/etc/link", &err);
    ok(through >= 0 && same_file(through, root, "etc/passwd"), "follows a symlink inside");
    make_symlink("../run/systemd/resolve/stub-resolv.conf", "etc/resolv.conf");
    cleanup_close int given = in_root_make_file(root, "/etc/resolv.conf", &err);
    ok(given >= 0 && file_holds(root, "etc/resolv.conf", ""), "a dangling symlink gives way to the file");
    make_symlink("../../canary", "etc/escape");
    cleanup_close int safe = in_root_make_file(root, "/etc/escape", &err);
    ok(safe >= 0 && file_holds(root, "etc/escape", "") && canary_sings(), "so does one that points outside");
    ok(in_root_make_file(root, "/etc/passwd/x", &err) == -1, "refuses a file below a file");
}

static bool writes(const char *path, struct error *err) {
    cleanup_close int fd = in_root_replace(root, path, 0640, err);
    return fd >= 0 && write(fd, "ours", 4) == 4;
}

static void check_replace(void) {
    struct error err = {""};
    fresh();
    umask(0022);
    cleanup_close int before = openat(root, "etc/passwd", O_RDONLY | O_CLOEXEC);
    ok(writes("/etc/passwd", &err) && file_holds(root, "etc/passwd", "ours"), "puts a new file in place");
    ok(!same_file(before, root, "etc/passwd"), "the old file is another, so that hard links keep it");
    struct stat info;
    ok(fstatat(root, "etc/passwd", &info, 0) == 0 && (info.st_mode & 0777) == 0640,
       "with the mode asked for");
    ok(writes("/opt/conf/new", &err) && file_holds(root, "opt/conf/new", "ours"),
       "makes what is missing above");

    make_file(root, "etc/target", "theirs", 0644);
    make_symlink("target", "etc/inside");
    ok(writes("/etc/inside", &err) && file_holds(root, "etc/inside", "ours") &&
           file_holds(root, "etc/target", "theirs"),
       "never writes through a symlink inside");
    make_symlink("../../canary", "etc/outside");
    ok(writes("/etc/outside", &err) && file_holds(root, "etc/outside", "ours") && canary_sings(),
       "never writes through a symlink outside");
    must(mkfifoat(root, "etc/fifo", 0644) == 0, "mkfifo");
    ok(writes("/etc/fifo", &err) && file_holds(root, "etc/fifo", "ours"),
       "replaces a FIFO without waiting for it");
    make_directory(root, "etc/directory", 0755);
    ok(!writes("/etc/directory", &err), "refuses to replace a directory");
    says(err.text, "/etc/directory", "names the directory");
    ok(!writes("/etc/", &err) && !writes("etc", &err) && !writes("/etc/..", &err),
       "refuses what names no file");

    make_symlink("../..", "up");
    ok(writes("/up/canary", &err) && file_holds(root, "canary", "ours") && canary_sings(),
       "a symlinked parent out of the root ends inside");
}

int main(void) {
    become_ordinary();
    check_open();
    check_make_directory();
    check_make_file();
    check_replace();
    ok(canary_sings(), "the canary outside the root is alive");
    scratch_remove(outside);
    return tap_done();
}
