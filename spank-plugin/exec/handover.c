#include "exec/handover.h"
#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

struct header {
    char release[16];
    // Of what follows.
    size_t bytes;
    struct handover_descriptors descriptors;
};

enum { FIRST_FD = 3 };

static const char *const NAME = "stowage-exec";

static size_t used_bytes(const struct step_container *container) {
    return offsetof(struct step_container, environment) + container->environment_bytes;
}

static int write_all(int fd, const void *bytes, size_t count) {
    for (const char *at = bytes; count > 0;) {
        ssize_t written = write(fd, at, count);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return -1;
        at += written;
        count -= (size_t)written;
    }
    return 0;
}

static int read_all(int fd, void *bytes, size_t count) {
    for (char *at = bytes; count > 0;) {
        ssize_t got = read(fd, at, count);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -1;
        at += got;
        count -= (size_t)got;
    }
    return 0;
}

// The same, open on exec and out of the way of the standard descriptors, some of which may be closed.
static int keep(int fd) {
    return fcntl(fd, F_DUPFD, FIRST_FD);
}

static int seal(int fd) {
    return lseek(fd, 0, SEEK_SET) == 0
               ? fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)
               : -1;
}

int handover_make(const struct step_container *container, const struct handover_descriptors *descriptors,
                  int *fd, struct error *err) {
    cleanup_close int file = memfd_create(NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    cleanup_close int holder = keep(descriptors->holder);
    cleanup_close int countdown = keep(descriptors->countdown);
    if (file < 0 || holder < 0 || countdown < 0)
        return error_errno(err, "cannot open what the rank takes along");

    struct header header = {.release = SOFTWARE_VERSION, .bytes = used_bytes(container)};
    header.descriptors = (struct handover_descriptors){.holder = holder, .countdown = countdown};
    if (write_all(file, &header, sizeof header) != 0 || write_all(file, container, header.bytes) != 0 ||
        seal(file) != 0)
        return error_errno(err, "cannot write what the rank takes along");
    int kept = keep(file);
    if (kept < 0)
        return error_errno(err, "cannot open what the rank takes along");
    *fd = kept;
    steal_fd(&holder);
    steal_fd(&countdown);
    return 0;
}

static int close_on_exec(const struct handover_descriptors *descriptors) {
    return fcntl(descriptors->holder, F_SETFD, FD_CLOEXEC) == 0 &&
                   fcntl(descriptors->countdown, F_SETFD, FD_CLOEXEC) == 0
               ? 0
               : -1;
}

int handover_take(int fd, struct step_container *container, struct handover_descriptors *descriptors,
                  struct error *err) {
    cleanup_close int file = fd;
    struct header header;
    bool readable = read_all(file, &header, sizeof header) == 0;
    if (!readable || strncmp(header.release, SOFTWARE_VERSION, sizeof header.release) != 0 ||
        header.bytes > sizeof *container)
        return error_set(err, "stowage-exec is not of the release of the plugin that slurmd has loaded; the "
                              "administrators must install one release and restart slurmd");
    if (read_all(file, container, header.bytes) != 0 || used_bytes(container) != header.bytes)
        return error_set(err, "what the rank took along is not whole");
    if (close_on_exec(&header.descriptors) != 0)
        return error_errno(err, "what the rank took along is gone");
    *descriptors = header.descriptors;
    return 0;
}
