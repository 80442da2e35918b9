#include "rank_lock.h"
#include "children.h"
#include "tap.h"

#include <sys/file.h>

enum { HELD_MILLISECONDS = 200 };

static char top[PATH_MAX], path[2 * PATH_MAX];

static int lock_exclusively(void) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    must(fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0, path);
    return fd;
}

// Holds the lock for a moment from when this returns.
static void start_sweep(void) {
    int held = lock_exclusively();
    pid_t pid = fork();
    must(pid >= 0, "fork");
    if (pid == 0) {
        nanosleep(&(struct timespec){.tv_nsec = HELD_MILLISECONDS * 1000L * 1000}, NULL);
        _exit(0);
    }
    close(held);
}

int main(void) {
    struct error err;
    become_ordinary();
    cleanup_close int at = scratch_make(top);
    make_file(at, "lock", "", 0600);
    snprintf(path, sizeof path, "%s/lock", top);

    int first = rank_lock_take(path, 0, &err), second = rank_lock_take(path, 0, &err);
    ok(first >= 0 && second >= 0, "ranks share the lock");
    ok(flock(open(path, O_RDONLY), LOCK_EX | LOCK_NB) != 0, "and nobody has it to himself meanwhile");
    close(first);
    close(second);

    start_sweep();
    int late = rank_lock_take(path, 50 * HELD_MILLISECONDS, &err);
    ok(late >= 0, "a rank that comes during a sweep waits for its end");
    close(late);
    while (wait(NULL) > 0)
        ;

    int held = lock_exclusively();
    ok(rank_lock_take(path, 20, &err) < 0, "and not for ever");
    says(err.text, "/lock: Resource temporarily unavailable", "with a sentence that names the lock");
    close(held);
    ok(rank_lock_take("/none", 20, &err) < 0, "a lock that is not there is a failure");
    scratch_remove(top);
    return tap_done();
}
