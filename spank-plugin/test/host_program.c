#include "enter/host_program.h"
#include "scratch.h"
#include "tap.h"

#include <signal.h>
#include <time.h>

static char scratch[PATH_MAX];
static int scratch_fd;

static int run_shell(const char *script, const char *input, unsigned seconds, bool is_quiet,
                     struct error *err) {
    char text[512];
    snprintf(text, sizeof text, "%s", script);
    char *arguments[] = {"sh", "-c", text, NULL};
    char *environment[] = {"GIVEN=yes", NULL};
    struct host_program program = {.path = "/bin/sh",
                                   .arguments = arguments,
                                   .environment = environment,
                                   .input = input,
                                   .directory = scratch,
                                   .timeout_seconds = seconds,
                                   .is_quiet = is_quiet};
    return host_program_run(&program, err);
}

static void check_surroundings(void) {
    struct error err;
    ok(run_shell("cat >told; echo \"$GIVEN$HOME\" >environment; echo /proc/self/fd/* >descriptors", "a state",
                 10, false, &err) == 0,
       "a program runs to its end");
    ok(file_holds(scratch_fd, "told", "a state"), "it reads what it is told");
    ok(file_holds(scratch_fd, "environment", "yes\n"),
       "its environment is what it was given and nothing else");
    ok(file_holds(scratch_fd, "descriptors",
                  "/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/3\n"),
       "it inherits no descriptor but those of its streams (3 is the listing's own)");
    ok(run_shell("exit 0", "nobody reads this", 10, false, &err) == 0,
       "a program that does not read what it is told fails for that no more than others");
    ok(run_shell("test -z \"$(cat)\"", NULL, 10, false, &err) == 0, "one that is told nothing reads nothing");
}

static void check_failures(void) {
    struct error err;
    ok(run_shell("exit 3", NULL, 10, false, &err) < 0, "a program that fails is a failure");
    is_text(err.text, "it failed (exit status 3)", "with its status");
    ok(run_shell("kill -SEGV $$", NULL, 10, false, &err) < 0, "so is one that crashes");
    is_text(err.text, "it was ended by signal 11 (Segmentation fault)", "with its signal");
    char *nothing[] = {"x", NULL};
    struct host_program missing = {
        .path = "/nowhere/x", .arguments = nothing, .environment = nothing + 1, .timeout_seconds = 1};
    ok(host_program_run(&missing, &err) < 0, "so is one that does not exist");
    is_text(err.text, "it cannot be executed on this node: No such file or directory", "with the reason");
    make_file(scratch_fd, "empty", "\1", 0755);
    char path[PATH_MAX + 8];
    snprintf(path, sizeof path, "%s/empty", scratch);
    missing.path = path;
    ok(host_program_run(&missing, &err) < 0, "so is one that is no program");
    says(err.text, "it could not be executed", "with the reason as well");
}

static void check_time(void) {
    struct error err;
    time_t began = time(NULL);
    ok(run_shell("sleep 100 & echo $! >child; wait", NULL, 1, false, &err) < 0,
       "a program may take its time");
    is_text(err.text, "it took longer than 1 seconds", "and no longer");
    ok(time(NULL) - began < 10, "nobody waits for it any more");
    char text[16] = "";
    cleanup_close int fd = openat(scratch_fd, "child", O_RDONLY | O_CLOEXEC);
    ok(fd >= 0 && read(fd, text, sizeof text - 1) > 0, "it had started another one");
    int tries = 0;
    while (kill((pid_t)atoi(text), 0) == 0 && tries++ < 200)
        nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
    ok(tries < 200, "which is gone with it");
}

int main(void) {
    become_ordinary();
    scratch_fd = scratch_make(scratch);
    check_surroundings();
    check_failures();
    check_time();
    scratch_remove(scratch);
    return tap_done();
}
