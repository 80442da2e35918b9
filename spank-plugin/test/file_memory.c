#include "enter/file_memory.h"
#include "scratch.h"
#include "tap.h"

#include <dirent.h>
#include <time.h>

#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char RECORDS[] = "kind=tar\0digest=" DIGEST "\0size=7";
static struct tree_store store;
static const struct timespec NOW = {.tv_sec = 1000000000};

static struct stat a_file(ino_t inode) {
    return (struct stat){.st_dev = 1,
                         .st_ino = inode,
                         .st_size = 7,
                         .st_mtim = {.tv_sec = 100, .tv_nsec = 1},
                         .st_ctim = {.tv_sec = 999999000, .tv_nsec = 2}};
}

static bool knows(const struct stat *file) {
    struct identity identity;
    bool found = file_memory_find(&store, file, &identity);
    if (found)
        identity_release(&identity);
    return found;
}

static size_t entries(void) {
    int fd = openat(store.fd, FILE_MEMORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    size_t count = 0;
    while (directory && readdir(directory))
        count++;
    if (directory)
        closedir(directory);
    return count < 2 ? 0 : count - 2;
}

static void tells_files_apart(const struct identity *identity) {
    struct stat file = a_file(10);
    ok(!knows(&file), "knows nothing at first");
    file_memory_keep(&store, &file, &NOW, identity);
    struct identity found;
    if (ok(file_memory_find(&store, &file, &found), "remembers a file")) {
        is_text(found.digest, DIGEST, "with its digest");
        identity_release(&found);
    }
    struct stat others[6];
    for (size_t i = 0; i < 6; i++)
        others[i] = file;
    others[0].st_dev++;
    others[1].st_ino++;
    others[2].st_size++;
    others[3].st_mtim.tv_nsec++;
    others[4].st_ctim.tv_nsec++;
    others[5].st_ctim.tv_sec++;
    bool any = false;
    for (size_t i = 0; i < 6; i++)
        any = any || knows(&others[i]);
    ok(!any, "knows no other device, inode, size, time of modification or of change");
}

static void distrusts_the_young(const struct identity *identity) {
    struct stat file = a_file(20);
    file.st_ctim = (struct timespec){.tv_sec = NOW.tv_sec - 2};
    file_memory_keep(&store, &file, &NOW, identity);
    ok(!knows(&file), "does not remember a file that changed two seconds before it was read");
    file.st_ctim.tv_sec--;
    file_memory_keep(&store, &file, &NOW, identity);
    ok(knows(&file), "remembers one that changed three seconds before");
    file.st_ctim.tv_sec = NOW.tv_sec + 1000;
    file_memory_keep(&store, &file, &NOW, identity);
    ok(!knows(&file), "does not remember one that changes in the future");
}

static void stays_small(const struct identity *identity) {
    for (ino_t inode = 100; inode < 100 + 2 * FILE_MEMORY_MAX; inode++) {
        struct stat file = a_file(inode);
        file_memory_keep(&store, &file, &NOW, identity);
    }
    ok(entries() == FILE_MEMORY_MAX, "remembers no more than %d files (%zu)", FILE_MEMORY_MAX, entries());
    struct stat last = a_file(100 + 2 * FILE_MEMORY_MAX - 1);
    ok(knows(&last), "among them the last");

    struct identity large = *identity;
    large.records_bytes = 64 * 1024 + 1;
    large.records = calloc(1, large.records_bytes);
    struct stat file = a_file(30);
    file_memory_keep(&store, &file, &NOW, &large);
    ok(!knows(&file), "does not remember what is larger than 64 KiB");
    free(large.records);
}

static void survives_nonsense(void) {
    struct stat file = a_file(100 + 2 * FILE_MEMORY_MAX - 1);
    int memory = openat(store.fd, FILE_MEMORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fdopendir(dup(memory));
    struct dirent *entry;
    while ((entry = readdir(directory))) {
        if (entry->d_name[0] != '.')
            make_file(memory, entry->d_name, "nonsense", 0600);
    }
    closedir(directory);
    close(memory);
    ok(!knows(&file), "takes no nonsense for knowledge");
}

int main(void) {
    become_ordinary();
    char path[PATH_MAX];
    struct error err;
    struct identity identity;
    store.fd = scratch_make(path);
    must(identity_parse(&identity, RECORDS, sizeof RECORDS, &err) == 0, "records");
    tells_files_apart(&identity);
    distrusts_the_young(&identity);
    stays_small(&identity);
    survives_nonsense();
    identity_release(&identity);
    tree_store_close(&store);
    scratch_remove(path);
    return tap_done();
}
