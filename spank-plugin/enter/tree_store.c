#include "tree_store.h"
#include "cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define SQUASHFS_PREFIX "squashfs-"

static const long RETRY_NANOSECONDS = 20 * 1000 * 1000;

int tree_store_open(struct tree_store *store, const char *trees, struct error *err) {
    struct tree_store opened;
    if (snprintf(opened.path, sizeof opened.path, "%s/%u", trees, geteuid()) >= (int)sizeof opened.path)
        return error_set(err, "the path of the tree store is too long");
    cleanup_close int fd = open(opened.path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0)
        return error_errno(err, "cannot open the tree store %s", opened.path);
    if (info.st_uid != geteuid())
        return error_set(err, "the tree store %s does not belong to you", opened.path);
    opened.fd = steal_fd(&fd);
    *store = opened;
    return 0;
}

void tree_store_close(struct tree_store *store) {
    close(store->fd);
}

static bool is_digest(const char *digest, char separator) {
    size_t hex = 0;
    if (strncmp(digest, "sha256", 6) == 0)
        hex = 64;
    else if (strncmp(digest, "sha512", 6) == 0)
        hex = 128;
    return hex > 0 && digest[6] == separator && strlen(digest + 7) == hex &&
           strspn(digest + 7, "0123456789abcdef") == hex;
}

int tree_name(const char *digest, char name[TREE_NAME_MAX], struct error *err) {
    if (!is_digest(digest, ':'))
        return error_set(err, "'%s' is not a digest", digest);
    snprintf(name, TREE_NAME_MAX, "%s", digest);
    name[6] = '-';
    return 0;
}

int tree_squashfs_name(const char *digest, char name[TREE_NAME_MAX], struct error *err) {
    char unpacked[TREE_NAME_MAX];
    if (tree_name(digest, unpacked, err) != 0)
        return -1;
    snprintf(name, TREE_NAME_MAX, "%s%.*s", SQUASHFS_PREFIX, TREE_NAME_MAX - (int)sizeof SQUASHFS_PREFIX,
             unpacked);
    return 0;
}

bool tree_is_squashfs_name(const char *name) {
    const size_t length = sizeof SQUASHFS_PREFIX - 1;
    return strncmp(name, SQUASHFS_PREFIX, length) == 0 && is_digest(name + length, '-');
}

bool tree_is_name(const char *name) {
    return is_digest(name, '-') || tree_is_squashfs_name(name);
}

char **tree_store_digests(const struct tree_store *store, struct error *err) {
    int copy = openat(store->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = copy < 0 ? NULL : fdopendir(copy);
    size_t count = 0;
    char **digests = calloc(1, sizeof *digests);
    struct dirent *entry;
    while (directory && digests && (entry = readdir(directory))) {
        if (!is_digest(entry->d_name, '-'))
            continue;
        char **grown = realloc(digests, (count + 2) * sizeof *digests);
        if (!grown)
            break;
        digests = grown;
        digests[count] = strdup(entry->d_name);
        if (!digests[count])
            break;
        digests[count][6] = ':';
        digests[++count] = NULL;
    }
    if (!directory || !digests)
        error_errno(err, "cannot list the tree store %s", store->path);
    if (directory)
        closedir(directory);
    return directory ? digests : NULL;
}

bool tree_store_has(const struct tree_store *store, const char *name) {
    struct stat info;
    return fstatat(store->fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode);
}

// Whether the lock file is still the one of that name: a sweep unlinks it together with its tree.
static bool is_current(const struct tree_store *store, const char *lock_name, int lock) {
    struct stat held, named;
    return fstat(lock, &held) == 0 && fstatat(store->fd, lock_name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

void tree_file(const char *name, const char *suffix, char file[TREE_FILE_MAX]) {
    snprintf(file, TREE_FILE_MAX, "%.*s%s", TREE_NAME_MAX - 1, name, suffix);
}

int tree_store_try_lock(const struct tree_store *store, const char *name, enum tree_lock_kind kind,
                        struct error *err) {
    char lock_name[TREE_FILE_MAX];
    tree_file(name, TREE_LOCK, lock_name);
    for (;;) {
        cleanup_close int lock =
            openat(store->fd, lock_name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (lock < 0)
            return error_errno(err, "cannot open the lock %s/%s", store->path, lock_name);
        if (flock(lock, (kind == TREE_EXCLUSIVE ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0) {
            if (errno == EWOULDBLOCK)
                return TREE_BUSY;
            return error_errno(err, "cannot take the lock %s/%s", store->path, lock_name);
        }
        if (is_current(store, lock_name, lock))
            return steal_fd(&lock);
    }
}

int tree_store_wait_for_lock(const struct tree_store *store, const char *name, enum tree_lock_kind kind,
                             void (*tick)(void *), void *context, struct error *err) {
    int lock;
    while ((lock = tree_store_try_lock(store, name, kind, err)) == TREE_BUSY) {
        tick(context);
        nanosleep(&(struct timespec){.tv_nsec = RETRY_NANOSECONDS}, NULL);
    }
    return lock;
}
