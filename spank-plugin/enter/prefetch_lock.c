#include "prefetch_lock.h"
#include "cleanup.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>

#define PREFIX "prefetch-"

enum { NAME_MAX_BYTES = 32, ATTEMPTS_MAX = 100 };

static void name_of(uint32_t job_id, char name[NAME_MAX_BYTES]) {
    snprintf(name, NAME_MAX_BYTES, PREFIX "%u", job_id);
}

bool prefetch_lock_is_name(const char *name) {
    const size_t length = sizeof PREFIX - 1;
    return strncmp(name, PREFIX, length) == 0 && name[length] != '\0' &&
           strspn(name + length, "0123456789") == strlen(name + length);
}

static int open_lock(const struct tree_store *store, const char *name, int flags) {
    return openat(store->fd, name, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC | flags, 0600);
}

// Whether the file is still the one of that name: a sweep unlinks those that nobody holds.
static bool is_current(const struct tree_store *store, const char *name, int lock) {
    struct stat held, named;
    return fstat(lock, &held) == 0 && fstatat(store->fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

int prefetch_lock_take(const struct tree_store *store, uint32_t job_id, struct error *err) {
    char name[NAME_MAX_BYTES];
    name_of(job_id, name);
    for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        cleanup_close int lock = open_lock(store, name, O_CREAT);
        struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        if (lock < 0 || fcntl(lock, F_SETLK, &whole) != 0)
            return error_errno(err, "cannot take the lock %s/%s", store->path, name);
        if (is_current(store, name, lock))
            return steal_fd(&lock);
    }
    return error_set(err, "%s/%s is removed again and again", store->path, name);
}

void prefetch_lock_release(const struct tree_store *store, uint32_t job_id, int lock) {
    char name[NAME_MAX_BYTES];
    name_of(job_id, name);
    unlinkat(store->fd, name, 0);
    close(lock);
}

// The process that holds the lock, or 0.
static pid_t holder_of(int lock) {
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(lock, F_GETLK, &whole) == 0 && whole.l_type != F_UNLCK ? whole.l_pid : 0;
}

void prefetch_end(const struct tree_store *store, uint32_t job_id) {
    char name[NAME_MAX_BYTES];
    name_of(job_id, name);
    cleanup_close int lock = open_lock(store, name, 0);
    pid_t holder = lock < 0 ? 0 : holder_of(lock);
    cleanup_close int process = holder > 0 ? pidfd_open(holder, 0) : -1;
    // Asked again, so that the descriptor is not that of a process which got the number of one that has
    // ended.
    if (process >= 0 && holder_of(lock) == holder)
        pidfd_send_signal(process, SIGKILL, NULL, 0);
    unlinkat(store->fd, name, 0);
}

void prefetch_lock_sweep(const struct tree_store *store, const char *name) {
    cleanup_close int lock = open_lock(store, name, 0);
    if (lock >= 0 && holder_of(lock) == 0)
        unlinkat(store->fd, name, 0);
}
