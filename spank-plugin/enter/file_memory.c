#include "file_memory.h"
#include "cleanup.h"
#include "directory_entry.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// Longer ones, of archives with many members, are found out again: those are not hashed.
enum { RECORDS_MAX = 64 * 1024, ENTRY_NAME_MAX = 128, RACY_SECONDS = 2 };

static int open_memory(const struct tree_store *store) {
    return openat(store->fd, FILE_MEMORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static uint64_t nanoseconds(const struct timespec *time) {
    return (uint64_t)time->tv_sec * 1000000000 + (uint64_t)time->tv_nsec;
}

static void entry_name(const struct stat *file, char name[ENTRY_NAME_MAX]) {
    snprintf(name, ENTRY_NAME_MAX, "%" PRIx64 "-%" PRIx64 "-%" PRIx64 "-%" PRIx64 "-%" PRIx64,
             (uint64_t)file->st_dev, (uint64_t)file->st_ino, (uint64_t)file->st_size,
             nanoseconds(&file->st_mtim), nanoseconds(&file->st_ctim));
}

bool file_memory_find(const struct tree_store *store, const struct stat *file, struct identity *identity) {
    char name[ENTRY_NAME_MAX];
    char records[RECORDS_MAX];
    struct error ignored;
    entry_name(file, name);
    cleanup_close int memory = open_memory(store);
    cleanup_close int fd =
        memory < 0 ? -1 : openat(memory, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, records, sizeof records);
    return length > 0 && identity_parse(identity, records, (size_t)length, &ignored) == 0;
}

// Makes room for one entry.
static void forget_oldest(int memory) {
    int copy = openat(memory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = copy < 0 ? NULL : fdopendir(copy);
    char oldest[ENTRY_NAME_MAX] = "";
    uint64_t since = UINT64_MAX;
    size_t count = 0;
    struct dirent *entry;
    while (directory && (entry = readdir(directory))) {
        struct stat info;
        if (is_self_or_parent(entry->d_name) || strlen(entry->d_name) >= sizeof oldest ||
            fstatat(memory, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        count++;
        if (nanoseconds(&info.st_mtim) < since) {
            since = nanoseconds(&info.st_mtim);
            strcpy(oldest, entry->d_name);
        }
    }
    if (directory)
        closedir(directory);
    if (count >= FILE_MEMORY_MAX)
        unlinkat(memory, oldest, 0);
}

void file_memory_keep(const struct tree_store *store, const struct stat *file, const struct timespec *began,
                      const struct identity *identity) {
    if (identity->records_bytes > RECORDS_MAX || file->st_ctim.tv_sec + RACY_SECONDS >= began->tv_sec)
        return;
    mkdirat(store->fd, FILE_MEMORY, 0700);
    cleanup_close int memory = open_memory(store);
    if (memory < 0)
        return;
    forget_oldest(memory);
    char name[ENTRY_NAME_MAX], unfinished[32];
    entry_name(file, name);
    snprintf(unfinished, sizeof unfinished, "new-%d", (int)getpid());
    unlinkat(memory, unfinished, 0);
    cleanup_close int fd = openat(memory, unfinished, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ssize_t length = (ssize_t)identity->records_bytes;
    if (fd < 0 || write(fd, identity->records, identity->records_bytes) != length ||
        renameat(memory, unfinished, memory, name) != 0)
        unlinkat(memory, unfinished, 0);
}
