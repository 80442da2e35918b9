#include "local_image.h"
#include "cleanup.h"
#include "file_memory.h"
#include "identify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>

static int make_absolute(char path[PATH_MAX], const char *text, size_t length, const char *base,
                         const char *home, struct error *err) {
    const char *start = "";
    if (text[0] == '~') {
        if (!home)
            return error_set(err, "your home directory is unknown on this node; write the whole path");
        start = home;
        text++;
        length--;
    } else if (text[0] != '/') {
        if (!base || base[0] != '/')
            return error_set(err, "Slurm did not carry the directory that the path is relative to; write the "
                                  "whole path");
        start = base;
        size_t here = strncmp(text, "./", 2) == 0 ? 1 + strspn(text + 1, "/") : 0;
        text += here;
        length -= here;
    }
    const char *slash = text[0] == '/' || *start == '\0' ? "" : "/";
    if (snprintf(path, PATH_MAX, "%s%s%.*s", start, slash, (int)length, text) >= PATH_MAX)
        return error_set(err, "the path is longer than %d bytes", PATH_MAX - 1);
    return 0;
}

// The whole location if there is something of that name, else the path before the selector.
static int find_path(struct local_image *image, const struct image_source *source, const char *base,
                     const char *home, struct error *err) {
    const char *location = source->location;
    const char *selector = "";
    if (make_absolute(image->path, location, strlen(location), base, home, err) != 0)
        return -1;
    struct stat info;
    if (source->selector[0] != '\0' && stat(image->path, &info) != 0 &&
        (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG)) {
        selector = source->selector;
        if (make_absolute(image->path, location, source->path_length, base, home, err) != 0)
            return -1;
    }
    image->selector = strdup(selector);
    return image->selector ? 0 : error_errno(err, "cannot hold the name of the image");
}

static const char *name_of_type(mode_t mode) {
    return S_ISFIFO(mode)   ? "a FIFO"
           : S_ISSOCK(mode) ? "a socket"
           : S_ISBLK(mode)  ? "a block device"
           : S_ISCHR(mode)  ? "a character device"
                            : "something else";
}

static int open_path(struct local_image *image, struct stat *info, struct error *err) {
    // Looked at before it is opened: opening a device can do something. What it is is checked again
    // afterwards.
    const char *path = image->path;
    if (stat(path, info) == 0 && !S_ISREG(info->st_mode) && !S_ISDIR(info->st_mode))
        return error_set(err, "'%s' is %s; name a file or a directory", path, name_of_type(info->st_mode));
    cleanup_close int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return error_set(err, "there is no '%s' on this node; name a file that the compute nodes see", path);
    if (fd < 0 && errno == EACCES)
        return error_set(err, "you may not read '%s' (%s)", path, strerror(errno));
    if (fd < 0 || fstat(fd, info) != 0)
        return error_errno(err, "cannot open '%s'", path);
    if (!S_ISREG(info->st_mode) && !S_ISDIR(info->st_mode))
        return error_set(err, "'%s' is %s; name a file or a directory", path, name_of_type(info->st_mode));
    image->is_directory = S_ISDIR(info->st_mode);
    image->fd = steal_fd(&fd);
    return 0;
}

static bool has_any(int directory, const char *const *names) {
    struct stat info;
    for (; *names; names++) {
        if (fstatat(directory, *names, &info, AT_SYMLINK_NOFOLLOW) == 0)
            return true;
    }
    return false;
}

// Of the directories in a root file system, those without at least one of which nothing can run.
static const char *const ROOT_MARKS[] = {"bin", "sbin", "usr", "lib", "lib64", "etc", "opt", "app", NULL};

// The container gets an account of its user in etc, and no user may put anything into a directory of another,
// not even in an overlay.
static bool has_foreign_etc(int directory) {
    struct stat info;
    return fstatat(directory, "etc", &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode) &&
           info.st_uid != geteuid();
}

static int recognize_directory(struct local_image *image, const struct image_source *source,
                               const struct stat *info, struct error *err) {
    static const char *const LAYOUT[] = {"oci-layout", NULL}, *const INDEX[] = {"index.json", NULL};
    const char *path = image->path;
    struct stat root;
    if (has_any(image->fd, LAYOUT) && has_any(image->fd, INDEX)) {
        image->format = STOWAGE__V1__LOCAL_IMAGE__FORMAT__FORMAT_OCI_LAYOUT;
    } else if (source->scheme == IMAGE_OCI) {
        return error_set(err,
                         "'%s' is not an OCI image layout; that is a directory with oci-layout and "
                         "index.json in it",
                         path);
    } else if (stat("/", &root) == 0 && root.st_dev == info->st_dev && root.st_ino == info->st_ino) {
        return error_set(err, "'%s' is the root directory of the node; to run on the host, leave --image out",
                         path);
    } else if (!has_any(image->fd, ROOT_MARKS)) {
        return error_set(err,
                         "'%s' holds neither a root file system (there is no bin, usr, lib or etc in it) "
                         "nor an OCI image layout (oci-layout and index.json)",
                         path);
    } else if (has_foreign_etc(image->fd)) {
        return error_set(
            err,
            "'%s' belongs to another user, and only its owner can run it as it is; copy it with "
            "'stowage unpack' and name the copy, or have it packed into a file (squashfs or tar)",
            path);
    } else {
        image->format = STOWAGE__V1__LOCAL_IMAGE__FORMAT__FORMAT_ROOT_FILE_SYSTEM;
    }
    return 0;
}

static bool unchanged(const struct stat *before, const struct stat *after) {
    return before->st_size == after->st_size && before->st_mtim.tv_sec == after->st_mtim.tv_sec &&
           before->st_mtim.tv_nsec == after->st_mtim.tv_nsec &&
           before->st_ctim.tv_sec == after->st_ctim.tv_sec &&
           before->st_ctim.tv_nsec == after->st_ctim.tv_nsec;
}

static int identify_file(struct local_image *image, const struct tree_store *store, const struct stat *info,
                         struct progress *progress, struct error *err) {
    if (file_memory_find(store, info, &image->identity))
        return 0;
    struct timespec began;
    struct stat after;
    clock_gettime(CLOCK_REALTIME, &began);
    if (identify(&image->identity, image->fd, progress, err) != 0)
        return error_wrap(err, "'%s' cannot be used", image->path);
    if (fstat(image->fd, &after) != 0 || !unchanged(info, &after))
        return error_set(err, "'%s' changed while it was read; try again when it is complete", image->path);
    file_memory_keep(store, info, &began, &image->identity);
    return 0;
}

// The machine as OCI calls it; its own name where that is the same.
static const char *node_architecture(void) {
    static const char *const NAMES[][2] = {{"x86_64", "amd64"}, {"aarch64", "arm64"}, {"i686", "386"}};
    static struct utsname host;
    if (uname(&host) != 0)
        return "";
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        if (strcmp(host.machine, NAMES[i][0]) == 0)
            return NAMES[i][1];
    }
    return host.machine;
}

static int recognize_file(struct local_image *image, const struct image_source *source, struct error *err) {
    const struct identity *identity = &image->identity;
    const char *path = image->path;
    if (!identity_is_archive(identity)) {
        if (source->scheme != IMAGE_PATH)
            return error_set(err,
                             "'%s' is a root file system (%s) and not an archive of an image; name it "
                             "without the scheme",
                             path, identity->kind);
        const char *architecture = identity->architecture;
        if (architecture && strcmp(architecture, node_architecture()) != 0)
            return error_set(err,
                             "'%s' was built for %s, and this node is %s; build or pull it for this "
                             "architecture",
                             path, architecture, node_architecture());
        image->format = STOWAGE__V1__LOCAL_IMAGE__FORMAT__FORMAT_ROOT_FILE_SYSTEM;
        return 0;
    }
    bool oci = identity_member(identity, "index.json") && identity_member(identity, "oci-layout");
    bool docker = identity_member(identity, "manifest.json");
    if (source->scheme == IMAGE_OCI_ARCHIVE && !oci)
        return error_set(err, "'%s' has no index.json; try docker-archive:", path);
    if (source->scheme == IMAGE_DOCKER_ARCHIVE && !docker)
        return error_set(err, "'%s' has no manifest.json; try oci-archive:", path);
    image->format = oci && source->scheme != IMAGE_DOCKER_ARCHIVE
                        ? STOWAGE__V1__LOCAL_IMAGE__FORMAT__FORMAT_OCI_LAYOUT
                        : STOWAGE__V1__LOCAL_IMAGE__FORMAT__FORMAT_DOCKER_ARCHIVE;
    return 0;
}

static int check_scheme(const struct local_image *image, const struct image_source *source,
                        struct error *err) {
    if (image->is_directory &&
        (source->scheme == IMAGE_OCI_ARCHIVE || source->scheme == IMAGE_DOCKER_ARCHIVE))
        return error_set(err, "'%s' is a directory and not an archive; write oci:%s", image->path,
                         image->path);
    if (!image->is_directory && source->scheme == IMAGE_OCI)
        return error_set(err, "'%s' is a file and not a directory; write oci-archive:%s", image->path,
                         image->path);
    return 0;
}

int local_image_open(struct local_image *image, const struct image_source *source, const char *base,
                     const char *home, const struct tree_store *store, struct progress *progress,
                     struct error *err) {
    struct local_image opened = {.fd = -1};
    struct stat info;
    int result = find_path(&opened, source, base, home, err);
    if (result == 0)
        result = open_path(&opened, &info, err);
    if (result == 0)
        result = check_scheme(&opened, source, err);
    if (result == 0 && opened.is_directory)
        result = recognize_directory(&opened, source, &info, err);
    if (result == 0 && !opened.is_directory)
        result = identify_file(&opened, store, &info, progress, err);
    if (result == 0 && !opened.is_directory)
        result = recognize_file(&opened, source, err);
    if (result != 0) {
        local_image_release(&opened);
        return -1;
    }
    *image = opened;
    return 0;
}

void local_image_release(struct local_image *image) {
    cleanup_close_fd(&image->fd);
    free(image->selector);
    identity_release(&image->identity);
    *image = (struct local_image){.fd = -1};
}

struct layout_files local_image_files(const struct local_image *image) {
    return (struct layout_files){.fd = image->fd, .archive = image->is_directory ? NULL : &image->identity};
}
