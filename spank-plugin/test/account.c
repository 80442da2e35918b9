#include "enter/account.h"
#include "scratch.h"
#include "tap.h"

static char base[PATH_MAX];
static int root;

static void fresh(void) {
    if (root > 0) {
        close(root);
        scratch_remove(base);
    }
    root = scratch_make(base);
    make_directory(root, "etc", 0755);
}

static const struct account ANN = {
    .passwd_line = "ann:x:1000:100:Ann:/home/ann:/bin/bash",
    .group_line = "users:x:100:",
    .home = "/home/ann",
};

#define ANN_LINE "ann:x:1000:100:Ann:/home/ann:/bin/bash\n"

static void check_merge(const char *theirs, const char *wanted, const char *claim) {
    struct error err;
    fresh();
    make_file(root, "etc/passwd", theirs, 0644);
    bool written = account_write(&ANN, root, &err) == 0;
    ok(written && file_holds(root, "etc/passwd", wanted), "%s", claim);
}

static void check_merging(void) {
    check_merge("", ANN_LINE, "puts the user into an empty file");
    check_merge("root:x:0:0:root:/root:/bin/sh\n", ANN_LINE "root:x:0:0:root:/root:/bin/sh\n",
                "puts the user in front of the image's accounts");
    check_merge("root:x:0:0::/root:/bin/sh", ANN_LINE "root:x:0:0::/root:/bin/sh\n",
                "ends a last line that has no newline");
    check_merge("node:x:1000:1000::/home/node:/bin/sh\nroot:x:0:0::/root:/bin/sh\n",
                ANN_LINE "root:x:0:0::/root:/bin/sh\n", "drops the image's account of the same number");
    check_merge("ann:x:7:7::/elsewhere:/bin/false\n", ANN_LINE, "drops the image's account of the same name");
    check_merge("anna:x:1:1:::\nan:x:2:2:::\nx-ann:x:3:3:::\n",
                ANN_LINE "anna:x:1:1:::\nan:x:2:2:::\nx-ann:x:3:3:::\n", "keeps names that only begin alike");
    check_merge("a:x:100:1:::\nb:x:10000:1:::\nc:x:1:1000:::\nd:1000:5:5:::\n",
                ANN_LINE "a:x:100:1:::\nb:x:10000:1:::\nc:x:1:1000:::\nd:1000:5:5:::\n",
                "keeps numbers that only begin alike or stand in other fields");
    check_merge("\n\n+::::::\nnonsense\nann\n:\n::1000\n", ANN_LINE "+::::::\nnonsense\nann\n:\n::1000\n",
                "keeps lines that are no accounts and drops empty ones");

    struct error err;
    fresh();
    make_file(root, "etc/group", "staff:x:50:\nusers:x:5:\nother:x:100:ann\nusers2:x:1000:\n", 0644);
    account_write(&ANN, root, &err);
    ok(file_holds(root, "etc/group", "users:x:100:\nstaff:x:50:\nusers2:x:1000:\n"),
       "treats groups in the same way");
}

static int truncate_in_root(const char *name, off_t size) {
    cleanup_close int fd = openat(root, name, O_WRONLY | O_CLOEXEC);
    return ftruncate(fd, size);
}

static void check_users_without_an_account(void) {
    struct account account;
    struct error err;
    setenv("HOME", "/home/nobody-knows", 1);
    ok(account_read(&account, &err) == 0, "reads the account of a user whom nobody knows");
    is_text(account.passwd_line, "user65432:x:65432:65433::/home/nobody-knows:/bin/sh",
            "makes a line for them");
    is_text(account.group_line, "group65433:x:65433:", "and one for their group");
    account_release(&account);
    setenv("HOME", "relative", 1);
    ok(account_read(&account, &err) == 0 && strcmp(account.home, "/") == 0,
       "takes / for a HOME that is no path");
    account_release(&account);
}

static void check_odd_files(void) {
    struct error err = {""};
    fresh();
    must(unlinkat(root, "etc", AT_REMOVEDIR) == 0, "rmdir");
    ok(account_write(&ANN, root, &err) == 0 && file_holds(root, "etc/passwd", ANN_LINE) &&
           file_holds(root, "etc/group", "users:x:100:\n"),
       "makes both files in an image without /etc");

    fresh();
    make_file(root, "secret", "root:x:0:0:::\n", 0644);
    must(symlinkat("../secret", root, "etc/passwd") == 0, "symlink");
    ok(account_write(&ANN, root, &err) == 0 && file_holds(root, "etc/passwd", ANN_LINE "root:x:0:0:::\n"),
       "reads through a symlink inside the image");
    ok(file_holds(root, "secret", "root:x:0:0:::\n"), "but does not write through it");

    fresh();
    must(symlinkat("/etc/passwd", root, "etc/passwd") == 0, "symlink");
    ok(account_write(&ANN, root, &err) == 0 && file_holds(root, "etc/passwd", ANN_LINE),
       "a symlink to itself gives way");

    fresh();
    must(mkfifoat(root, "etc/passwd", 0644) == 0, "mkfifo");
    ok(account_write(&ANN, root, &err) == 0 && file_holds(root, "etc/passwd", ANN_LINE),
       "does not wait for a FIFO in the file's place");

    fresh();
    make_directory(root, "etc/passwd", 0755);
    ok(account_write(&ANN, root, &err) == -1, "refuses a directory in the file's place");
    says(err.text, "/etc/passwd", "names it");

    fresh();
    make_file(root, "etc/passwd", "root:x:0:0:::\n", 0644);
    must(truncate_in_root("etc/passwd", 1 << 30) == 0, "truncate");
    ok(account_write(&ANN, root, &err) == 0 && file_holds(root, "etc/passwd", ANN_LINE),
       "leaves out a file of a GiB");
}

static void check_root(const char *passwd, const char *line, const char *home, const char *claim) {
    struct account account;
    struct error err;
    fresh();
    make_file(root, "etc/passwd", passwd, 0644);
    make_file(root, "etc/group", "wheel:x:10:root\nroot:x:0:root,admin\n", 0644);
    if (!ok(account_of_root(&account, root, &err) == 0, "knows root of an image"))
        return;
    is_text(account.passwd_line, line, claim);
    is_text(account.home, home, "with that home directory");
    is_text(account.group_line, "root:x:0:root,admin", "and its group");
    account_release(&account);
}

#define USUAL_ROOT "root:x:0:0:root:/root:/bin/sh"

static void check_root_of_images(void) {
    check_root("bin:x:1:1::/bin:\n" USUAL_ROOT "\n", USUAL_ROOT, "/root", "takes the image's line");
    check_root("admin:x:0:0:The Boss:/var/admin:/bin/zsh\nroot:x:0:0::/root:\n",
               "admin:x:0:0:The Boss:/var/admin:/bin/zsh", "/var/admin", "whatever root is called there");
    check_root("", USUAL_ROOT, "/root", "makes a line if the image has none");
    check_root("root:x:0:0:root:relative:/bin/sh\n", USUAL_ROOT, "/root", "or none with a home directory");
    check_root("root:x:0:0:/root:/bin/sh\nroot:x:00:0:::\n:x:0:0::/x:/y\nroot:x:0:0::/a:/b:/c\n", USUAL_ROOT,
               "/root", "or none that is one");
    struct account account;
    struct error err;
    fresh();
    ok(account_of_root(&account, root, &err) == 0, "knows root of an image without accounts");
    is_text(account.group_line, "root:x:0:", "and makes up its group");
    account_release(&account);
}

static void check_account_of_this_user(void) {
    struct account account;
    struct error err;
    ok(account_read(&account, &err) == 0, "reads the account of the user");
    char numbers[64];
    snprintf(numbers, sizeof numbers, ":x:%u:%u:", getuid(), getgid());
    says(account.passwd_line, numbers, "the line has the user's numbers");
    snprintf(numbers, sizeof numbers, ":x:%u:", getgid());
    says(account.group_line, numbers, "the group's line has its number");
    ok(account.home[0] == '/', "the home directory is absolute");
    account_release(&account);
}

int main(void) {
    bool known = geteuid() != 0;
    become_ordinary();
    check_merging();
    check_odd_files();
    check_root_of_images();
    check_account_of_this_user();
    if (!known)
        check_users_without_an_account();
    else
        skip("needs to be started by root", "makes up an account for a user whom nobody knows");
    scratch_remove(base);
    return tap_done();
}
