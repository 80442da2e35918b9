#include "save_target.h"
#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int choose_format(const char *path, enum save_format *format, struct error *err) {
    const char *dot = strrchr(path, '.');
    if (dot && (strcmp(dot, ".sqsh") == 0 || strcmp(dot, ".squashfs") == 0))
        *format = SAVE_SQUASHFS;
    else if (dot && strcmp(dot, ".tar") == 0)
        *format = SAVE_OCI;
    else
        return error_set(err, "the file's name must end in .sqsh or .squashfs, for a squashfs file, or in "
                              ".tar, for an OCI archive");
    return 0;
}

static int make_absolute(struct save_target *target, const char *path, const char *base, struct error *err) {
    bool is_absolute = path[0] == '/';
    if (!is_absolute && base[0] != '/')
        return error_set(err, "a relative path needs a working directory, and the job has none here; write "
                              "the whole path");
    int length = snprintf(target->path, sizeof target->path, "%s%s%s", is_absolute ? "" : base,
                          is_absolute ? "" : "/", path);
    if (length >= (int)sizeof target->path)
        return error_set(err, "the path is too long");
    target->name = strrchr(target->path, '/') + 1;
    return strlen(target->name) > NAME_MAX ? error_set(err, "the file's name is too long") : 0;
}

static int open_directory(struct save_target *target, struct error *err) {
    char directory[PATH_MAX];
    snprintf(directory, sizeof directory, "%.*s", (int)(target->name - target->path), target->path);
    target->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return target->directory >= 0 ? 0 : error_errno(err, "cannot open the directory %s", directory);
}

static int check_place(const struct save_target *target, struct error *err) {
    struct stat info;
    if (fstatat(target->directory, target->name, &info, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : error_errno(err, "cannot look at what is there");
    // A link to a file would be replaced, not followed: as little of a surprise as can be is to do neither.
    if (S_ISREG(info.st_mode))
        return 0;
    return error_set(err, "%s is there, which is not replaced; remove it, or choose another name",
                     S_ISDIR(info.st_mode)   ? "a directory"
                     : S_ISLNK(info.st_mode) ? "a symbolic link"
                                             : "something that is no regular file");
}

static int begin_file(struct save_target *target, struct error *err) {
    target->file = openat(target->directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
    snprintf(target->half, sizeof target->half, ".stowage-%d.part", (int)getpid());
    // What NFS and old kernels answer.
    if (target->file < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL || errno == ENOENT)) {
        target->file =
            openat(target->directory, target->half, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        target->has_name = target->file >= 0;
    }
    return target->file >= 0 ? 0 : error_errno(err, "cannot write to its directory");
}

int save_target_open(struct save_target *target, const char *path, const char *base, struct error *err) {
    *target = (struct save_target){.directory = -1, .file = -1};
    if (choose_format(path, &target->format, err) == 0 && make_absolute(target, path, base, err) == 0 &&
        open_directory(target, err) == 0 && check_place(target, err) == 0 && begin_file(target, err) == 0)
        return 0;
    cleanup_close_fd(&target->directory);
    return error_wrap(err, "--image-save=%.300s", path);
}

// A file without a name gets one, and then the right one: to link is not to replace.
static int give_name(struct save_target *target, struct error *err) {
    char path[32];
    if (target->has_name)
        return 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", target->file);
    if (linkat(AT_FDCWD, path, target->directory, target->half, AT_SYMLINK_FOLLOW) != 0)
        return error_errno(err, "cannot name the new file");
    target->has_name = true;
    return 0;
}

int save_target_publish(struct save_target *target, struct error *err) {
    // Only then are errors of a file system that writes late known.
    if (fsync(target->file) != 0)
        return error_errno(err, "cannot write the new file");
    if (check_place(target, err) != 0 || give_name(target, err) != 0)
        return -1;
    if (renameat(target->directory, target->half, target->directory, target->name) != 0)
        return error_errno(err, "cannot put the new file in place");
    target->has_name = false;
    return 0;
}

void save_target_abandon(struct save_target *target) {
    if (target->has_name)
        unlinkat(target->directory, target->half, 0);
    target->has_name = false;
}
