#include "exec/program.h"
#include "scratch.h"
#include "tap.h"

#include <errno.h>

static char top[PATH_MAX];
static char search[4 * PATH_MAX];
static char path[PATH_MAX];
static struct error err;

static bool finds(const char *name, const char *file) {
    char wanted[2 * PATH_MAX];
    snprintf(wanted, sizeof wanted, "%s/%s", top, file);
    return program_find(name, search, path, &err) == 0 && strcmp(path, wanted) == 0;
}

static bool fails(const char *name, const char *directories, int failure) {
    return program_find(name, directories, path, &err) != 0 && errno == failure;
}

int main(void) {
    become_ordinary();
    cleanup_close int at = scratch_make(top);
    make_directory(at, "first", 0755);
    make_directory(at, "second", 0755);
    make_directory(at, "first/both", 0755);
    make_file(at, "second/both", "", 0755);
    make_file(at, "first/text", "", 0644);
    make_file(at, "second/text", "", 0755);
    make_file(at, "first/only-text", "", 0644);
    make_file(at, "second/script", "#!/no/such/interpreter\n", 0755);
    make_file(at, "here", "", 0755);
    snprintf(search, sizeof search, "%s/none:%s/first:%s/second", top, top, top);

    ok(finds("script", "second/script"), "a program is found in a directory of PATH");
    ok(finds("both", "second/both"), "a directory is no program");
    ok(finds("text", "second/text"), "a file without execute permission is passed over");
    ok(fails("only-text", search, EACCES), "if it is all there is, that is what is said");
    ok(fails("nothing", search, ENOENT), "a program that is nowhere is not found");
    says(err.text, "cannot execute nothing: No such file or directory; PATH in the container is /",
         "and the sentence says where it was looked for");
    ok(fails("", search, EACCES) || errno == ENOENT, "nor is one without a name");

    must(chdir(top) == 0, top);
    ok(program_find("here", "/none:", path, &err) == 0 && strcmp(path, "here") == 0,
       "an empty directory in PATH is the working directory");
    ok(program_find("sh", NULL, path, &err) == 0, "without PATH there is a default");
    ok(program_find("./here", "/none", path, &err) == 0 && strcmp(path, "./here") == 0,
       "a name with a slash is not looked for");

    ok(program_name("here/", "there", path, &err) == 0 && strcmp(path, "here/there") == 0,
       "a directory stands for the program that was broadcast to it");
    ok(program_name("here", "there", path, &err) == 0 && strcmp(path, "here") == 0,
       "any other name for itself");

    static char name[PATH_MAX + 1];
    memset(name, 'x', PATH_MAX);
    ok(fails(name, search, ENOENT), "a long name is not found");
    name[0] = '/';
    ok(fails(name, search, ENAMETOOLONG), "a long path is refused");
    name[PATH_MAX - 2] = '/', name[PATH_MAX - 1] = '\0';
    ok(program_name(name, "there", path, &err) != 0 && errno == ENAMETOOLONG, "a long directory too");

    char *argv[] = {"script", NULL};
    ok(program_execute("second/script", argv, argv + 1, &err) != 0 && errno == ENOENT,
       "a script without its interpreter cannot be executed");
    says(err.text, "second/script: the interpreter or dynamic loader that it names is not in the image",
         "and the sentence says so");
    ok(program_execute("first/text", argv, argv + 1, &err) != 0 && errno == EACCES,
       "nor a file without execute permission");
    says(err.text, "cannot execute first/text: Permission denied", "and the sentence says so");
    scratch_remove(top);
    return tap_done();
}
