#include "countdown.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

int countdown_make(uint32_t count, int *fd, struct error *err) {
    int made = eventfd(count - 1, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC);
    if (made < 0)
        return error_errno(err, "cannot count the ranks");
    *fd = made;
    return 0;
}

bool countdown_is_last(int fd) {
    eventfd_t one;
    return eventfd_read(fd, &one) != 0 && errno == EAGAIN;
}
