#include "running_lock.h"
#include "cleanup.h"

#include <fcntl.h>
#include <sys/pidfd.h>

int running_lock_take(int fd) {
    struct flock whole = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_SETLK, &whole);
}

pid_t running_lock_owner(int fd) {
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_GETLK, &whole) == 0 && whole.l_type != F_UNLCK ? whole.l_pid : 0;
}

int running_lock_open_owner(int fd, pid_t *owner) {
    pid_t found;
    while ((found = running_lock_owner(fd)) > 0) {
        cleanup_close int pidfd = pidfd_open(found, 0);
        // Asked again, so that it is not a process which got the number of one that has ended.
        if (pidfd >= 0 && running_lock_owner(fd) == found) {
            *owner = found;
            return steal_fd(&pidfd);
        }
    }
    return -1;
}
