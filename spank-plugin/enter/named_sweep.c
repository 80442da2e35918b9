#include "named_sweep.h"
#include "cleanup.h"
#include "directory_entry.h"
#include "named_container.h"
#include "named_record.h"
#include "remove_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

int named_remove(const struct tree_store *store, uint32_t job_id, struct error *err) {
    char job[16];
    snprintf(job, sizeof job, "%u", job_id);
    cleanup_close int all =
        openat(store->fd, NAMED_DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (all < 0)
        return errno == ENOENT ? 0 : error_errno(err, "cannot open %s/" NAMED_DIRECTORY, store->path);
    if (remove_tree(all, job, err) != 0)
        return -1;
    // As long as there are other jobs with such containers it is not empty.
    unlinkat(store->fd, NAMED_DIRECTORY, AT_REMOVEDIR);
    return 0;
}

static bool is_made_of(int directory, const char *tree) {
    struct named_record record;
    struct error ignored;
    // What cannot be read is of no use to a step either.
    if (named_record_read(directory, &record, &ignored) != 0)
        return false;
    bool is = strcmp(record.tree, tree) == 0;
    named_record_release(&record);
    return is;
}

// Whether it holds for one of the directories in `parent`, which are `depth` levels down.
static bool any_is_made_of(int parent, const char *name, int depth, const char *tree) {
    cleanup_close int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return false;
    if (depth == 0)
        return is_made_of(fd, tree);
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = copy < 0 ? NULL : fdopendir(copy);
    bool found = false;
    struct dirent *entry;
    while (directory && !found && (entry = readdir(directory)))
        found = !is_self_or_parent(entry->d_name) && any_is_made_of(fd, entry->d_name, depth - 1, tree);
    if (directory)
        closedir(directory);
    return found;
}

bool named_uses_tree(const struct tree_store *store, const char *name) {
    // <job>/<NAME>
    enum { LEVELS = 2 };
    return any_is_made_of(store->fd, NAMED_DIRECTORY, LEVELS, name);
}
