// stowage-report FILE: the command with which an image's entrypoint is started. Writes the number of bytes
// that follow, the working directory and the environment to FILE; see enter/entrypoint_report.h. Static: it
// runs in an image that has no libraries.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

static int write_all(int fd, const void *bytes, size_t length) {
    for (const char *at = bytes; length > 0;) {
        ssize_t written = write(fd, at, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -1;
        at += written;
        length -= (size_t)written;
    }
    return 0;
}

int main(int argc, char **argv) {
    char directory[PATH_MAX];
    int fd = argc == 2 ? open(argv[1], O_WRONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return 1;
    // Not there any more, or out of sight: the receiver keeps its own.
    if (!getcwd(directory, sizeof directory))
        directory[0] = '\0';
    size_t bytes = strlen(directory) + 1;
    for (char **entry = environ; *entry; entry++)
        bytes += strlen(*entry) + 1;
    uint32_t announced = bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes;
    if (write_all(fd, &announced, sizeof announced) != 0 ||
        write_all(fd, directory, strlen(directory) + 1) != 0)
        return 1;
    for (char **entry = environ; *entry; entry++) {
        if (write_all(fd, *entry, strlen(*entry) + 1) != 0)
            return 1;
    }
    return 0;
}
