#include "squashfs_mount.h"
#include "cleanup.h"
#include "sibling_program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum {
    EXIT_NOT_EXECUTED = 127,
    // Descriptors of the server, beside standard error.
    SERVER_IMAGE = 3,
    SERVER_DEVICE = 4,
};

static int open_image(const char *tree, struct error *err) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", tree, SQUASHFS_IMAGE) >= (int)sizeof path)
        return error_set(err, "the path of the tree store is too long");
    int image = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    return image >= 0 ? image : error_errno(err, "cannot open %s", path);
}

static int open_device(struct error *err) {
    int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (device >= 0)
        return device;
    return error_errno(err,
                       "this node does not let users mount squashfs images; the administrators must load "
                       "the kernel module fuse and give /dev/fuse mode 0666, or set squashfs = \"unpack\" "
                       "in [image] of stowage.toml: cannot open /dev/fuse");
}

// The device must have been opened in the user namespace in which it is mounted.
static int mount_device(int device, const char *tree, struct error *err) {
    char options[128];
    snprintf(options, sizeof options, "fd=%d,rootmode=%o,user_id=%u,group_id=%u,default_permissions", device,
             S_IFDIR, geteuid(), getegid());
    if (mount("stowage", tree, "fuse.stowage", MS_NOSUID | MS_NODEV | MS_RDONLY, options) != 0)
        return error_errno(err, "cannot mount the squashfs image on %s (fuse, %s)", tree, options);
    return 0;
}

// Descriptors above the ones that are about to be given out, so that none is overwritten.
static int move_away(int fd) {
    return fcntl(fd, F_DUPFD, SERVER_DEVICE + 1);
}

static void exec_server(const char *path, int image, int device, int sentence, pid_t parent) {
    char image_text[16], device_text[16];
    snprintf(image_text, sizeof image_text, "%d", SERVER_IMAGE);
    snprintf(device_text, sizeof device_text, "%d", SERVER_DEVICE);
    char *argv[] = {"stowage-squashfuse", "--image-fd", image_text, "--fuse-fd", device_text, NULL};
    char *environment[] = {NULL};
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent)
        _exit(EXIT_NOT_EXECUTED);
    image = move_away(image);
    device = move_away(device);
    sentence = move_away(sentence);
    if (image < 0 || device < 0 || sentence < 0 || dup2(sentence, STDERR_FILENO) < 0 ||
        dup2(image, SERVER_IMAGE) < 0 || dup2(device, SERVER_DEVICE) < 0)
        _exit(EXIT_NOT_EXECUTED);
    close_range(SERVER_DEVICE + 1, ~0U, 0);
    execve(path, argv, environment);
    _exit(EXIT_NOT_EXECUTED);
}

static int explain(pid_t pid, char *text, struct error *err) {
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return error_errno(err, "lost track of stowage-squashfuse");
    }
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return error_set(err,
                         "stowage-squashfuse was killed, most likely because the step ran out of memory; "
                         "ask for more with --mem");
    if (WIFSIGNALED(status))
        return error_set(err, "stowage-squashfuse was ended by signal %d (%s)", WTERMSIG(status),
                         strsignal(WTERMSIG(status)));
    if (WEXITSTATUS(status) == EXIT_NOT_EXECUTED)
        return error_set(err, "stowage-squashfuse could not be started");
    if (*text == '\0')
        return error_set(err, "stowage-squashfuse failed without a reason (status %d)", WEXITSTATUS(status));
    static const char prefix[] = "stowage-squashfuse: ";
    text[strcspn(text, "\n")] = '\0';
    return error_set(err, "%s",
                     strncmp(text, prefix, sizeof prefix - 1) == 0 ? text + sizeof prefix - 1 : text);
}

// It says one NUL byte when it is ready, or a sentence.
static int wait_until_ready(pid_t pid, int sentence, struct error *err) {
    char text[ERROR_TEXT_MAX];
    size_t length = 0;
    ssize_t got;
    while ((got = read(sentence, text + length, sizeof text - 1 - length)) != 0) {
        if (got < 0 && errno != EINTR)
            break;
        length += got > 0 ? (size_t)got : 0;
    }
    text[length] = '\0';
    return length == 1 && text[0] == '\0' ? 0 : explain(pid, text, err);
}

static int start_server(const char *path, int image, int device, struct error *err) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_errno(err, "cannot make a pipe for stowage-squashfuse");
    cleanup_close int ours = ends[0];
    cleanup_close int theirs = ends[1];
    pid_t self = getpid();
    pid_t pid = fork();
    if (pid < 0)
        return error_errno(err, "cannot start stowage-squashfuse");
    if (pid == 0)
        exec_server(path, image, device, theirs, self);
    close(steal_fd(&theirs));
    return wait_until_ready(pid, ours, err);
}

int squashfs_mount(const char *tree, struct error *err) {
    char path[PATH_MAX];
    if (sibling_program("stowage-squashfuse", path, err) != 0)
        return -1;
    cleanup_close int image = open_image(tree, err);
    cleanup_close int device = image < 0 ? -1 : open_device(err);
    if (device < 0 || mount_device(device, tree, err) != 0)
        return -1;
    // The last descriptor of the device but the server's is closed on return: should the server die, nobody
    // waits for it.
    return start_server(path, image, device, err);
}
