#include "save_view.h"
#include "account_restore.h"
#include "cleanup.h"
#include "root_user.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

static int make_layers(int place, mode_t mode) {
    return mkdirat(place, "upper", 0755) != 0 || fchmodat(place, "upper", mode, 0) != 0 ||
                   mkdirat(place, "work", 0700) != 0 || mkdirat(place, "view", 0700) != 0
               ? -1
               : 0;
}

static int mount_view(int root, const char *place, struct error *err) {
    struct stat info;
    char options[256];
    if (mount("stowage", place, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700") != 0 || fstat(root, &info) != 0)
        return error_errno(err, "cannot mount a tmpfs on %s", place);
    // Short names: the tmpfs is the working directory.
    if (chdir(place) != 0 || make_layers(AT_FDCWD, info.st_mode & 0777) != 0)
        return error_errno(err, "cannot make directories in %s", place);
    snprintf(options, sizeof options, "lowerdir=/proc/self/fd/%d,upperdir=upper,workdir=work,userxattr",
             root);
    if (mount("stowage", "view", "overlay", MS_NOSUID | MS_NODEV, options) != 0)
        return error_errno(err, "cannot mount an overlay over the container");
    int view = open("view", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return view >= 0 ? view : error_errno(err, "cannot open the container's files");
}

int save_view_open(int root, int image, const struct account *account, const char *place, struct error *err) {
    cleanup_close int view = mount_view(root, place, err);
    if (view < 0 || account_restore(account, image, view, err) != 0 || root_user_undo(view, err) != 0)
        return -1;
    return steal_fd(&view);
}
