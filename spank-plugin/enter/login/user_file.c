#include "user_file.h"
#include "cleanup.h"
#include "enter/wiped_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

int user_file_read(const char *path, struct user_file *file, struct error *problem) {
    struct stat info;
    // Opening a FIFO or a device must neither wait nor do anything.
    cleanup_close int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return USER_FILE_MISSING;
    if (fd < 0 || fstat(fd, &info) != 0)
        return error_errno(problem, "cannot be read");
    if (!S_ISREG(info.st_mode))
        return error_set(problem, "is not a regular file");
    if (info.st_size > USER_FILE_MAX)
        return error_set(problem, "is larger than %d bytes", USER_FILE_MAX);

    size_t size = (size_t)info.st_size, used = 0;
    cleanup_wiped char *content = malloc(size + 1);
    if (!content)
        return error_errno(problem, "cannot be held in memory");
    while (used < size) {
        ssize_t got = read(fd, content + used, size - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_errno(problem, "cannot be read");
        if (got == 0)
            break;
        used += (size_t)got;
    }
    content[used] = '\0';
    *file = (struct user_file){
        .content = content, .length = used, .is_open_to_all = (info.st_mode & S_IROTH) != 0};
    content = NULL;
    return 0;
}
