#include "unix_socket.h"
#include "cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

int unix_connect(const char *path, struct error *err) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return error_set(err, "the socket path %s is longer than %zu bytes", path,
                         sizeof address.sun_path - 1);
    strcpy(address.sun_path, path);

    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_errno(err, "cannot make a socket");
    // On a full backlog connect() blocks for as long as one may send.
    struct timeval limit = {.tv_sec = 5};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        if (errno == ENOENT || errno == ECONNREFUSED)
            return error_set(
                err, "stowaged does not run here (%s: %s); the administrators of this node must start it",
                path, strerror(errno));
        if (errno == EAGAIN)
            return error_set(err, "stowaged is busy and takes no more calls (%s); try again", path);
        return error_errno(err, "cannot connect to stowaged at %s", path);
    }
    return steal_fd(&fd);
}
