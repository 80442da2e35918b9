#include "enter/symlinks.h"
#include "scratch.h"
#include "tap.h"

// <outside>/root is the container's root.
static char outside[PATH_MAX];
static int outside_fd, root;

static int make(const char *target, const char *path, struct error *err) {
    Stowage__V1__Symlink link = STOWAGE__V1__SYMLINK__INIT, *links[] = {&link};
    Stowage__V1__ContainerPlan plan = STOWAGE__V1__CONTAINER_PLAN__INIT;
    link.target = (char *)target;
    link.path = (char *)path;
    plan.symlinks = links;
    plan.n_symlinks = 1;
    return symlinks_make(root, &plan, err);
}

static bool leads(const char *path, const char *wanted) {
    char target[PATH_MAX] = "";
    return readlinkat(root, path, target, sizeof target - 1) >= 0 && strcmp(target, wanted) == 0;
}

int main(void) {
    struct error err;
    become_ordinary();
    outside_fd = scratch_make(outside);
    make_file(outside_fd, "canary", "tweet", 0600);
    make_directory(outside_fd, "root", 0755);
    root = openat(outside_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    must(root >= 0, "root");

    ok(make("libx.so.1", "/usr/lib/x/libx.so", &err) == 0 && leads("usr/lib/x/libx.so", "libx.so.1"),
       "a link is made, and directories to it");
    ok(make("libx.so.1", "/usr/lib/x/libx.so", &err) == 0 && leads("usr/lib/x/libx.so", "libx.so.1"),
       "one that is there stays");
    ok(make("libx.so.2", "/usr/lib/x/libx.so", &err) == 0 && leads("usr/lib/x/libx.so", "libx.so.2"),
       "one that leads elsewhere gives way");
    make_file(root, "file", "the image's", 0644);
    ok(make("elsewhere", "/file", &err) == 0 && leads("file", "elsewhere"), "so does a file");
    ok(make("x", "/usr/lib", &err) < 0, "a directory does not");
    is_text(err.text,
            "symbolic link '/usr/lib' to 'x' in the container: what is there cannot give way: Is a directory",
            "and is named");
    must(symlinkat("../..", root, "out") == 0, "out");
    ok(make("x", "/out/canary", &err) == 0 && leads("canary", "x"), "the way is inside the root");
    ok(make("x", "/../../canary", &err) == 0, "whatever is tried");
    ok(file_holds(outside_fd, "canary", "tweet"), "nothing outside is changed");
    ok(make("x", "/", &err) < 0 && make("x", "", &err) < 0 && make("x", "/a/", &err) < 0,
       "a link without a name is refused");
    scratch_remove(outside);
    return tap_done();
}
