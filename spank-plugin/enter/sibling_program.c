#include "sibling_program.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int sibling_program(const char *program, char path[PATH_MAX], struct error *err) {
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);
    if (length < 0)
        return error_errno(err, "cannot tell where stowage-enter is installed");
    path[length] = '\0';
    char *name = strrchr(path, '/') + 1;
    size_t size = strlen(program) + 1;
    if (size > (size_t)(path + PATH_MAX - name))
        return error_set(err, "the path of %s is too long", program);
    memcpy(name, program, size);
    if (access(path, X_OK) != 0)
        return error_set(err, "%s cannot be run (%s); the administrators must install Stowage on this node",
                         path, strerror(errno));
    return 0;
}
