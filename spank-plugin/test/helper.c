// What the plugin makes of the answers of stowage-enter, from scripts in its place.
#include "helper.h"
#include "children.h"
#include "tap.h"

#include <sys/socket.h>
#include <sys/un.h>

enum { DEADLINE_SECONDS = 20 };

static char libexec[PATH_MAX];
static char socket_path[PATH_MAX + 2] = "/s";
static int libexec_fd;
static enum pull_policy pull;
static bool pyxis;
static struct step_container *container;
static struct {
    int result;
    struct error err;
} * seen;

static void lead(unsigned number) {
    (void)number;
    const struct settings settings = {
        .socket = socket_path, .trees = "/t", .libexec = libexec, .environments = "/e"};
    char *environment[] = {"PATH=/usr/bin:/bin", "LD_PRELOAD=/nonexistent.so", "KEPT=yes", NULL};
    const struct helper_request request = {.image = "app:1",
                                           .pull = pull,
                                           .pyxis = pyxis,
                                           .show_digest = pull != PULL_OF_SITE,
                                           .job_id = 7,
                                           .step_id = 8,
                                           .slurmstepd = getppid(),
                                           .environment = environment};
    pid_t helper = 0;
    seen->result = helper_run(&settings, &request, container, &helper, &seen->err);
    helper_reap(helper);
}

static bool run(const char *script) {
    char text[4096];
    snprintf(text, sizeof text, "#!/bin/sh\n%s\n", script);
    unlinkat(libexec_fd, "stowage-enter", 0);
    make_file(libexec_fd, "stowage-enter", text, 0755);
    memset(seen, 0, sizeof *seen);
    seen->result = 99;
    return run_children(1, DEADLINE_SECONDS, lead) == 0;
}

// A server that never answers, at socket_path.
static int listen_in(const char *directory) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(socket_path, sizeof socket_path, "%s/s", directory);
    snprintf(address.sun_path, sizeof address.sun_path, "%.*s", (int)sizeof address.sun_path - 1,
             socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 4) != 0)
        perror("listen");
    return fd;
}

static void check_refusal(const char *script, const char *reason, const char *claim) {
    container->holder = -7;
    bool ended = run(script);
    if (!ok(ended && seen->result == -1 && strstr(seen->err.text, reason) && container->holder == -7, "%s",
            claim))
        printf("# result %d: %s\n", seen->result, seen->err.text);
}

int main(void) {
    container = shared_memory(sizeof *container);
    seen = shared_memory(sizeof *seen);
    libexec_fd = scratch_make(libexec);

    ok(run("printf 'H4711\\0J\\0L/lock\\0W/work\\0=A=1\\0-B\\0' >&3") && seen->result == 0,
       "takes a whole answer");
    ok(container->holder == 4711, "knows the holder");
    ok(!container->entry.net && !container->entry.root, "and nothing more to do");
    is_text(container->working_directory, "/work", "knows the working directory");
    is_text(container->tree_lock, "/lock", "knows the lock");
    ok(container->environment_bytes == 8 && memcmp(container->environment, "=A=1\0-B", 8) == 0,
       "knows the environment");
    ok(run("printf 'H4711\\0J\\0L/lock\\0W/\\0' >&3") && seen->result == 0 &&
           container->environment_bytes == 0,
       "takes an answer without environment");
    ok(run("printf 'H4711\\0J\\0L\\0W/\\0' >&3") && seen->result == 0 && container->tree_lock[0] == '\0',
       "takes an answer without a lock");
    ok(run("printf 'H4711\\0Jnr\\0L\\0W/\\0' >&3") && seen->result == 0 && container->entry.net &&
           container->entry.root && !container->entry.ipc,
       "knows what a rank has to do");
    ok(run("printf 'H4711\\0Jx\\0L\\0W/\\0' >&3") && seen->result != 0, "and refuses what it does not know");
    ok(container->saver == 0, "knows that nothing is saved");
    ok(run("printf 'H4711\\0J\\0S4712\\0L\\0W/\\0' >&3") && seen->result == 0 && container->saver == 4712,
       "knows the process that saves");
    ok(run("printf 'H4711\\0J\\0L\\0W/\\0' >&3") && seen->result == 0 && container->saver == 0,
       "and forgets that of another answer");
    ok(run("printf \"H4711\\0J\\0L/lock\\0W/$1 $2 $3 $4 $5 $6 $7 $8 ${9}\\0\" >&3") && seen->result == 0,
       "runs the helper");
    says(container->working_directory, "--socket /s --trees /t --image app:1 --job 7", "with what it needs");
    ok(run("printf \"H4711\\0J\\0L/lock\\0W/$*\\0\" >&3") &&
           !strstr(container->working_directory, "--pull") &&
           !strstr(container->working_directory, "--show-digest"),
       "without what was not asked for");
    ok(!strstr(container->working_directory, "--pyxis"), "not as pyxis does it");
    pull = PULL_ALWAYS;
    pyxis = true;
    ok(run("printf \"H4711\\0J\\0L/lock\\0W/$*\\0\" >&3"), "runs the helper");
    says(container->working_directory, "--environments /e --pull always --show-digest --pyxis",
         "with what was asked for");
    pull = PULL_OF_SITE;
    pyxis = false;
    ok(run("printf \"H4711\\0J\\0L/lock\\0W/$LD_PRELOAD$KEPT\\0\" >&3"), "runs the helper");
    is_text(container->working_directory, "/yes", "in the job's environment without LD_PRELOAD");

    ok(!strstr(container->working_directory, "--early-call"), "without a call where nobody listens");
    int listener = listen_in(libexec);
    ok(run("test -S /proc/self/fd/4 && printf \"H4711\\0J\\0L/lock\\0W/$*\\0\" >&3"), "runs the helper");
    says(container->working_directory, "--environments /e --early-call 4",
         "with a call that was begun before");
    close(listener);

    check_refusal("printf 'Eno such image\\0' >&3; exit 1", "no such image",
                  "hands on the helper's sentence");
    check_refusal("printf 'Ebad \\033[2J\\0' >&3", "bad ?[2J", "but not its escape sequences");
    check_refusal("exit 0", "without an answer", "refuses a helper that says nothing");
    check_refusal("kill -9 $$", "--mem", "explains a helper that was killed");
    check_refusal("kill -TERM $$", "cancelled", "explains a helper that was cancelled");
    check_refusal("kill -SEGV $$", "signal 11", "explains a helper that was ended");
    check_refusal("exit 127", "could not be started", "explains a helper that did not start");
    check_refusal("printf 'H4711\\0J\\0L/lock\\0W/wo' >&3", "not whole", "refuses half an answer");
    check_refusal("printf 'H4711' >&3", "not whole", "refuses an answer without an end");
    check_refusal("printf 'H4711\\0' >&3", "another release", "refuses a holder without a directory");
    check_refusal("printf 'H4711\\0J\\0L/lock\\0/work\\0' >&3", "another release",
                  "refuses an unmarked directory");
    check_refusal("printf 'H4711\\0W/work\\0' >&3", "another release", "refuses a holder without a lock");
    check_refusal("printf 'H4711\\0J\\0Llock\\0W/work\\0' >&3", "another release", "refuses a relative lock");
    check_refusal("printf 'X4711\\0L/lock\\0W/\\0' >&3", "another release",
                  "refuses an unknown kind of answer");
    check_refusal("printf '\\0\\0\\0' >&3", "another release", "refuses NULs");
    check_refusal("printf 'H1\\0L/lock\\0W/\\0' >&3", "another release", "refuses to join init");
    check_refusal("printf 'H0\\0L/lock\\0W/\\0' >&3", "another release", "refuses process 0");
    check_refusal("printf 'H-5\\0L/lock\\0W/\\0' >&3", "another release", "refuses a negative process");
    check_refusal("printf 'H4294967297\\0L/lock\\0W/\\0' >&3", "another release",
                  "refuses a process beyond any pid");
    check_refusal("printf 'H\\0L/lock\\0W/\\0' >&3", "another release", "refuses an empty process");
    check_refusal("printf 'H4711\\0J\\0S1\\0L/lock\\0W/\\0' >&3", "another release",
                  "refuses to be saved by init");
    check_refusal("printf 'H4711\\0J\\0Sx\\0L/lock\\0W/\\0' >&3", "another release",
                  "refuses to be saved by what is no process");
    check_refusal("printf 'H4711\\0J\\0L/lock\\0S4712\\0W/\\0' >&3", "another release",
                  "refuses a saver out of its place");
    check_refusal("printf 'H4711\\0J\\0L/lock\\0W%5000d\\0' 1 >&3", "another release",
                  "refuses a directory beyond PATH_MAX");
    check_refusal("head -c 3000000 /dev/zero 2>/dev/null >&3", "larger than",
                  "does not wait for ever for a helper whose answer is too large");

    unlinkat(libexec_fd, "stowage-enter", 0);
    run_children(1, DEADLINE_SECONDS, lead);
    ok(seen->result == -1, "refuses a missing helper");
    says(seen->err.text, "administrators must install", "says who can help");
    make_file(libexec_fd, "stowage-enter", "#!/nonexistent\n", 0755);
    run_children(1, DEADLINE_SECONDS, lead);
    ok(seen->result == -1, "refuses a helper that cannot be executed");
    says(seen->err.text, "could not be started", "says that it was not started");
    scratch_remove(libexec);
    return tap_done();
}
