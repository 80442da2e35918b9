#include "working_directory.h"
#include "cleanup.h"
#include "in_root.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>

// Whether it is not a directory of the image, which the step's writable layer covers.
static bool is_mounted(int root, int directory) {
    struct stat of_root, info;
    return fstat(root, &of_root) == 0 && fstat(directory, &info) == 0 && of_root.st_dev != info.st_dev;
}

static int open_asked_for(int root, const Stowage__V1__ContainerPlan *plan, struct error *err) {
    int found = in_root_open(root, plan->working_directory, O_PATH | O_DIRECTORY);
    if (found >= 0)
        return found;
    if (errno == ENOENT && plan->read_only_root)
        error_set(err, "the image has no such directory and is read-only; name one that it has, or ask for a "
                       "writable image");
    else
        found = in_root_make_directory(root, plan->working_directory, err);
    return found >= 0 ? found : error_wrap(err, "ranks cannot start in %s", plan->working_directory);
}

static void remark(struct progress *progress, const char *wanted, const char *chosen) {
    struct error sentence;
    error_set(&sentence,
              "%s of the host is not shown in the image; ranks start in the image's %s, and what they "
              "write there is gone when the step ends",
              wanted, chosen);
    progress_say(progress, sentence.text);
}

const char *working_directory_choose(int root, const struct options *options,
                                     const Stowage__V1__ContainerPlan *plan, struct progress *progress,
                                     struct error *err) {
    const char *submitted = options->working_directory;
    if (plan->working_directory_asked_for) {
        cleanup_close int asked_for = open_asked_for(root, plan, err);
        return asked_for >= 0 ? plan->working_directory : NULL;
    }
    cleanup_close int there = submitted[0] == '/' ? in_root_open(root, submitted, O_PATH | O_DIRECTORY) : -1;
    cleanup_close int made = there < 0 ? in_root_make_directory(root, plan->working_directory, err) : -1;
    if (there < 0 && made < 0)
        return NULL;
    const char *chosen = there >= 0 ? submitted : plan->working_directory;
    if (submitted[0] == '/' && !is_mounted(root, there >= 0 ? there : made))
        remark(progress, submitted, chosen);
    return chosen;
}
