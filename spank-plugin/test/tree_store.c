#include "enter/tree_store.h"
#include "children.h"
#include "tap.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/syscall.h>

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

enum { CONTENDERS = 4, ROUNDS = 3000, DEADLINE_SECONDS = 20 };

static const char NAME[] = "sha256-" HEX;
static const char LOCK[] = "sha256-" HEX ".lock";

static char trees[PATH_MAX];
static int trees_fd;
static struct tree_store store;

static int try_lock(bool exclusive) {
    struct error err;
    return tree_store_try_lock(&store, NAME, exclusive ? TREE_EXCLUSIVE : TREE_SHARED, &err);
}

static void check_open(void) {
    struct error err;
    struct tree_store other;
    char uid[32];
    snprintf(uid, sizeof uid, "%u", geteuid());
    ok(tree_store_open(&other, trees, &err) == -1, "refuses a store in which the user has no directory");
    says(err.text, uid, "names that directory");

    must(symlinkat(".", trees_fd, uid) == 0, "symlink");
    ok(tree_store_open(&other, trees, &err) == -1, "refuses a symlink in its place");
    must(unlinkat(trees_fd, uid, 0) == 0, "unlink");

    make_directory(trees_fd, uid, 0700);
    if (geteuid() == 0) {
        must(fchownat(trees_fd, uid, 65432, 65432, 0) == 0, "chown");
        ok(tree_store_open(&other, trees, &err) == -1, "refuses a directory of somebody else");
        must(fchownat(trees_fd, uid, 0, 0, 0) == 0, "chown");
    } else {
        skip("needs root", "refuses a directory of somebody else");
    }
    ok(tree_store_open(&store, trees, &err) == 0, "opens the user's own directory");
}

static void check_names(void) {
    static const char *const not_digests[] = {"",
                                              "sha256",
                                              "sha256:",
                                              "sha256:../../../../etc",
                                              "sha256:" HEX "0",
                                              "sha256:0123",
                                              "sha512:" HEX,
                                              "sha1:" HEX,
                                              "sha256-" HEX,
                                              "SHA256:" HEX,
                                              "sha256:" HEX "/x",
                                              "/sha256:" HEX};
    char name[TREE_NAME_MAX] = "untouched";
    struct error err;
    for (size_t i = 0; i < sizeof not_digests / sizeof *not_digests; i++)
        ok(tree_name(not_digests[i], name, &err) == -1 && strcmp(name, "untouched") == 0,
           "'%.40s' (%zu characters) names no tree", not_digests[i], strlen(not_digests[i]));
    ok(tree_name("sha256:" HEX, name, &err) == 0, "a sha256 digest names a tree");
    is_text(name, NAME, "with a dash for the colon");
    ok(tree_name("sha512:" HEX HEX, name, &err) == 0 && strcmp(name, "sha512-" HEX HEX) == 0,
       "so does a sha512 digest");
}

static void check_digests(void) {
    struct error err;
    char **digests = tree_store_digests(&store, &err);
    ok(digests && !digests[0], "lists nothing in an empty store");
    free(digests);

    make_directory(store.fd, NAME, 0755);
    make_directory(store.fd, "sha256-" HEX ".partial", 0755);
    make_directory(store.fd, "sha256-" HEX ".mount", 0755);
    make_file(store.fd, LOCK, "", 0600);
    make_directory(store.fd, "junk", 0755);
    digests = tree_store_digests(&store, &err);
    ok(digests && digests[0] && strcmp(digests[0], "sha256:" HEX) == 0 && !digests[1],
       "lists complete trees alone");
    for (char **at = digests; at && *at; at++)
        free(*at);
    free(digests);

    ok(tree_store_has(&store, NAME), "has a tree that is there");
    ok(!tree_store_has(&store, "sha512-" HEX HEX), "has none that is not");
    must(symlinkat("junk", store.fd, "sha512-" HEX HEX) == 0, "symlink");
    ok(!tree_store_has(&store, "sha512-" HEX HEX), "takes no symlink for a tree");
}

static void check_modes(void) {
    int one = try_lock(false);
    int other = try_lock(false);
    ok(one >= 0 && other >= 0, "two may share a lock");
    ok(fcntl(one, F_GETFD) & FD_CLOEXEC, "a lock is closed on exec");
    ok(try_lock(true) == -2, "a shared lock keeps an exclusive one out");
    close(one);
    ok(try_lock(true) == -2, "until the last one that shares it is gone");
    close(other);
    int exclusive = try_lock(true);
    ok(exclusive >= 0, "then it can be had");
    ok(try_lock(true) == -2 && try_lock(false) == -2, "an exclusive lock keeps all others out");
    close(exclusive);

    must(unlinkat(store.fd, LOCK, 0) == 0 && symlinkat("victim", store.fd, LOCK) == 0, "symlink");
    ok(try_lock(true) == -1 && !exists(store.fd, "victim"), "follows no symlink in the lock's place");
    must(unlinkat(store.fd, LOCK, 0) == 0, "unlink");
}

static unsigned ticks;

static void remove_and_release(void *held) {
    if (ticks++ == 0) {
        unlinkat(store.fd, LOCK, 0);
        close(*(int *)held);
    }
}

static void check_waiting(void) {
    struct error err;
    int held = try_lock(true);
    must(held >= 0, "lock");
    int gained = tree_store_wait_for_lock(&store, NAME, TREE_EXCLUSIVE, remove_and_release, &held, &err);
    ok(gained >= 0 && ticks > 0, "waits for a lock and says so");
    ok(same_file(gained, store.fd, LOCK), "a lock that was removed meanwhile is made anew");
    ok(try_lock(false) == -2, "and keeps others out");
    close(gained);
}

static bool swept_in_between;

// In place of libc's: lets a sweep remove the lock file after it was opened and before it is locked.
int flock(int fd, int operation) {
    if (swept_in_between)
        unlinkat(store.fd, LOCK, 0);
    swept_in_between = false;
    return (int)syscall(SYS_flock, fd, operation);
}

static void check_sweep_in_between(void) {
    close(try_lock(true));
    swept_in_between = true;
    int gained = try_lock(true);
    ok(gained >= 0 && same_file(gained, store.fd, LOCK), "never takes the lock of a file that is gone");
    close(gained);
}

static struct { atomic_uint inside, together, taken; } * seen;

// What a sweep does: take the lock, remove its file, release it.
static void contend(unsigned number) {
    (void)number;
    for (unsigned round = 0; round < ROUNDS; round++) {
        int lock = try_lock(true);
        if (lock < 0)
            continue;
        if (atomic_fetch_add(&seen->inside, 1) != 0)
            atomic_fetch_add(&seen->together, 1);
        atomic_fetch_add(&seen->taken, 1);
        atomic_fetch_sub(&seen->inside, 1);
        unlinkat(store.fd, LOCK, 0);
        close(lock);
    }
}

int main(void) {
    seen = shared_memory(sizeof *seen);
    trees_fd = scratch_make(trees);
    check_open();
    check_names();
    check_digests();
    check_modes();
    check_waiting();
    check_sweep_in_between();
    ok(run_children(CONTENDERS, DEADLINE_SECONDS, contend) == 0, "nobody hangs on locks that come and go");
    ok(seen->taken > 0 && seen->together == 0, "never do two hold a lock whose file comes and goes");
    tree_store_close(&store);
    scratch_remove(trees);
    return tap_done();
}
