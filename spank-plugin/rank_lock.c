#include "rank_lock.h"
#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

enum { RETRY_MILLISECONDS = 2 };

// Rather than to block, which nothing but the other's end would end.
static int lock_within(int fd, unsigned milliseconds) {
    for (unsigned waited = 0;; waited += RETRY_MILLISECONDS) {
        if (flock(fd, LOCK_SH | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK || waited >= milliseconds)
            return -1;
        nanosleep(&(struct timespec){.tv_nsec = RETRY_MILLISECONDS * 1000 * 1000}, NULL);
    }
}

int rank_lock_take(const char *path, unsigned deadline_milliseconds, struct error *err) {
    cleanup_close int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, "cannot open the lock of the image's tree, %s", path);
    if (lock_within(fd, deadline_milliseconds) != 0)
        return error_set(err,
                         "cannot take the lock of the image's tree, %s: %s; another job of yours may be "
                         "removing it, so start the step again",
                         path, strerror(errno));
    return steal_fd(&fd);
}
