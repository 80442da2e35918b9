#include "tree_users.h"
#include "cleanup.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static bool table_names(FILE *table, const char *wanted) {
    cleanup_free char *line = NULL;
    size_t size = 0;
    size_t length = strlen(wanted);
    while (getline(&line, &size, table) > 0) {
        const char *found = strstr(line, wanted);
        if (found && (found[length] == ',' || found[length] == '\n'))
            return true;
    }
    return false;
}

// Any process, not the user's alone: one that may not be dumped, as a rank before its exec, seems to be
// root's.
static bool process_mounts(int proc, const char *pid, const char *wanted) {
    char path[64];
    snprintf(path, sizeof path, "%.32s/mountinfo", pid);
    int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    FILE *table = fd < 0 ? NULL : fdopen(fd, "r");
    if (!table)
        return false;
    bool named = table_names(table, wanted);
    fclose(table);
    return named;
}

static int is_mounted(const char *layer, const char *path, bool *mounted, struct error *err) {
    cleanup_free char *wanted = NULL;
    DIR *processes = opendir("/proc");
    if (!processes || asprintf(&wanted, "%s=%s", layer, path) < 0) {
        if (processes)
            closedir(processes);
        return error_errno(err, "cannot look for processes that use %s", path);
    }
    bool named = false;
    struct dirent *entry;
    while (!named && (entry = readdir(processes))) {
        if (isdigit((unsigned char)entry->d_name[0]))
            named = process_mounts(dirfd(processes), entry->d_name, wanted);
    }
    closedir(processes);
    *mounted = named;
    return 0;
}

int tree_is_mounted(const char *path, bool *mounted, struct error *err) {
    return is_mounted("lowerdir", path, mounted, err);
}

int upper_is_mounted(const char *path, bool *mounted, struct error *err) {
    return is_mounted("upperdir", path, mounted, err);
}
