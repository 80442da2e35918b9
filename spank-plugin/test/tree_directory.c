#include "tree_directory.h"
#include "children.h"
#include "tap.h"

#include <errno.h>

enum { USER = 54321, GROUP = 54322, STRANGER = 54323, MAKERS = 32, DEADLINE_SECONDS = 30 };

static char trees[PATH_MAX];
static int trees_fd;
static const char OWN[] = "54321";

static void fresh_trees(mode_t mode) {
    if (trees_fd > 0) {
        close(trees_fd);
        scratch_remove(trees);
    }
    trees_fd = scratch_make(trees);
    must(fchmod(trees_fd, mode) == 0, trees);
}

static bool is_owned(const char *name, uid_t uid, gid_t gid, mode_t mode) {
    struct stat info;
    return fstatat(trees_fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode) &&
           info.st_uid == uid && info.st_gid == gid && (info.st_mode & 07777) == mode;
}

static void check_stores_that_are_not_safe(void) {
    struct error err;
    for (mode_t mode = 0020; mode > 0; mode = mode == 0020 ? 0002 : 0) {
        fresh_trees(0711 | mode);
        ok(tree_directory_make(trees, USER, GROUP, &err) == -1, "refuses a store of mode %04o", 0711 | mode);
        says(err.text, "mode 0711", "says which mode the store needs");
        ok(!exists(trees_fd, OWN), "makes nothing in a store of mode %04o", 0711 | mode);
    }
    fresh_trees(0711);
    must(fchown(trees_fd, STRANGER, 0) == 0, "chown");
    ok(tree_directory_make(trees, USER, GROUP, &err) == -1, "refuses a store that belongs to somebody else");
    says(err.text, "must belong to root", "says whose the store must be");
    gid_t gid;
    ok(tree_directory_find(trees, USER, &gid, &err) == -1, "looks for nothing in such a store");

    fresh_trees(0711);
    make_directory(trees_fd, "real", 0711);
    must(symlinkat("real", trees_fd, "link") == 0, "symlink");
    char link[PATH_MAX + 8];
    snprintf(link, sizeof link, "%s/link", trees);
    ok(tree_directory_make(link, USER, GROUP, &err) == -1, "refuses a store that is a symlink");
    ok(!exists(trees_fd, "real/54321"), "makes nothing behind that symlink");
}

static void check_what_is_in_the_way(void) {
    struct error err;
    gid_t gid;
    fresh_trees(0711);
    make_directory(trees_fd, "victim", 0700);
    must(symlinkat("victim", trees_fd, OWN) == 0, "symlink");
    ok(tree_directory_make(trees, USER, GROUP, &err) == -1, "refuses a symlink in the way");
    ok(is_owned("victim", 0, 0, 0700), "does not give away what the symlink leads to");
    ok(tree_directory_find(trees, USER, &gid, &err) == -1,
       "does not take a symlink for the user's directory");

    fresh_trees(0711);
    make_file(trees_fd, OWN, "", 0600);
    ok(tree_directory_make(trees, USER, GROUP, &err) == -1, "refuses a file in the way");
    says(err.text, OWN, "names what is in the way");

    fresh_trees(0711);
    make_directory(trees_fd, OWN, 0700);
    must(fchownat(trees_fd, OWN, STRANGER, STRANGER, 0) == 0, "chown");
    ok(tree_directory_make(trees, USER, GROUP, &err) == -1, "refuses a directory of somebody else");
    says(err.text, "belongs to somebody else", "says that it belongs to somebody else");
    ok(is_owned(OWN, STRANGER, STRANGER, 0700), "leaves it to its owner");
    ok(tree_directory_find(trees, USER, &gid, &err) == -1, "does not sweep a directory of somebody else");

    fresh_trees(0711);
    make_directory(trees_fd, OWN, 0755);
    ok(tree_directory_make(trees, USER, GROUP, &err) == 0, "takes a directory that root left half made");
    ok(is_owned(OWN, USER, GROUP, 0700), "gives it to the user, closed to all others");
}

static void make_at_the_same_time(unsigned number) {
    (void)number;
    struct error err;
    if (tree_directory_make(trees, USER, GROUP, &err) != 0)
        make_file(trees_fd, "failed", err.text, 0600);
}

static void check_as_root(void) {
    struct error err;
    gid_t gid = 0;
    fresh_trees(0711);
    ok(tree_directory_find(trees, USER, &gid, &err) == 0, "finds nothing before it is made");
    ok(tree_directory_make(trees, USER, GROUP, &err) == 0, "makes the user's directory");
    ok(is_owned(OWN, USER, GROUP, 0700), "the directory is the user's alone");
    ok(tree_directory_find(trees, USER, &gid, &err) == 1 && gid == GROUP, "finds it and its group");
    ok(tree_directory_make(trees, USER, STRANGER, &err) == 0, "is content with one that is there");
    ok(is_owned(OWN, USER, GROUP, 0700), "and does not give it away again");
    ok(tree_directory_make(trees, 0, 0, &err) == 0 && is_owned("0", 0, 0, 0700), "makes one for root");

    fresh_trees(0711);
    umask(0077);
    ok(run_children(MAKERS, DEADLINE_SECONDS, make_at_the_same_time) == 0 && !exists(trees_fd, "failed"),
       "32 that make it at the same time all succeed");
    ok(is_owned(OWN, USER, GROUP, 0700), "and it is the user's");

    check_stores_that_are_not_safe();
    check_what_is_in_the_way();
}

int main(void) {
    struct error err;
    ok(tree_directory_make("/nonexistent/trees", USER, GROUP, &err) == -1,
       "refuses a store that is not there");
    says(err.text, "administrators must mount it", "says who can help");
    fresh_trees(0711);
    if (geteuid() == 0) {
        check_as_root();
    } else {
        ok(tree_directory_make(trees, USER, GROUP, &err) == -1, "refuses a store that root does not own");
        skip("needs root", "makes directories for users");
    }
    scratch_remove(trees);
    return tap_done();
}
