// How stowage-enter is started before and after a job, from scripts in its place.
#include "job_helper.h"
#include "scratch.h"
#include "tap.h"

#include <signal.h>
#include <time.h>

static char libexec[PATH_MAX], out[PATH_MAX], trees[PATH_MAX];
static int libexec_fd;

static void put(const char *script) {
    static char text[4 * PATH_MAX];
    snprintf(text, sizeof text, "#!/bin/sh\n%s\n", script);
    unlinkat(libexec_fd, "stowage-enter", 0);
    make_file(libexec_fd, "stowage-enter", text, 0755);
}

static double seconds_since(const struct timespec *began) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - began->tv_sec) + (double)(now.tv_nsec - began->tv_nsec) / 1e9;
}

// Waits until the file holds a whole line, and reads it.
static const char *line_of(const char *name) {
    static char line[4096];
    for (int waited = 0; waited < 2000; waited++) {
        cleanup_close int fd = openat(libexec_fd, name, O_RDONLY | O_CLOEXEC);
        ssize_t got = fd < 0 ? 0 : read(fd, line, sizeof line - 1);
        line[got > 0 ? got : 0] = '\0';
        if (strchr(line, '\n'))
            return line;
        usleep(5000);
    }
    return "";
}

int main(void) {
    struct error err = {""};
    struct timespec began;
    // Any other than root's can be taken by root alone.
    uid_t uid = geteuid() == 0 ? ORDINARY_UID : geteuid();
    gid_t gid = geteuid() == 0 ? ORDINARY_GID : getegid();
    const struct settings settings = {
        .socket = "/s", .trees = trees, .libexec = libexec, .environments = "/e"};
    libexec_fd = scratch_make(libexec);
    must(fchmod(libexec_fd, 0777) == 0, "chmod");
    snprintf(trees, sizeof trees, "/t");
    snprintf(out, sizeof out, "%s", libexec);
    if (geteuid() != 0) {
        skip("needs root", "prefetches and sweeps as the user");
        scratch_remove(libexec);
        return tap_done();
    }

    static char script[3 * PATH_MAX];
    snprintf(script, sizeof script,
             "echo \"$(id -u) $(id -g) $(id -G) $* $(ls /proc/self/fd | tr '\\n' ' ')"
             "$(cat /proc/self/oom_score_adj) $PWD\" "
             ">%s/said; exec 3>&-; sleep 3; echo >%s/outlived",
             out, out);
    put(script);
    clock_gettime(CLOCK_MONOTONIC, &began);
    ok(job_helper_prefetch(&settings, "app:1", PULL_ALWAYS, 7, uid, gid, &err) == 0, "starts a prefetch");
    ok(seconds_since(&began) < 2.5, "and does not wait for its end");
    char wanted[200];
    snprintf(
        wanted, sizeof wanted,
        "%u %u %u --socket /s --trees /t --image app:1 --job 7 --environments /e --prefetch --pull always ",
        uid, gid, gid);
    says(line_of("said"), wanted, "as the user, with what it needs");
    says(line_of("said"), " 0 1 2 3 4 0 /\n", "without what is open here, and without protection");
    says(line_of("outlived"), "\n", "and it lives on");

    unlinkat(libexec_fd, "said", 0);
    put("sleep 5");
    clock_gettime(CLOCK_MONOTONIC, &began);
    ok(job_helper_prefetch(&settings, "app:1", PULL_OF_SITE, 7, uid, gid, &err) == 0 &&
           seconds_since(&began) < 4,
       "does not wait for one that never says that it is ready");
    put("exit 1");
    ok(job_helper_prefetch(&settings, "app:1", PULL_OF_SITE, 7, uid, gid, &err) == 0,
       "does not mind one that fails");

    snprintf(script, sizeof script, "echo \"$(id -u) $*\" >%s/said", out);
    put(script);
    ok(job_helper_sweep(&settings, 7, uid, gid, &err) == 0, "sweeps");
    snprintf(wanted, sizeof wanted, "%u --trees /t --sweep --job 7", uid);
    says(line_of("said"), wanted, "as the user, after this job");
    snprintf(script, sizeof script,
             "echo \"$(ls /proc/self/fd | tr '\\n' ' ')$PWD $(cut -d' ' -f6 /proc/self/stat)=$$ "
             "$(grep -E 'SigBlk|SigIgn' /proc/self/status | tr -s '\\t\\n' ' ')\" >%s/said",
             out);
    put(script);
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    must(sigprocmask(SIG_BLOCK, &blocked, NULL) == 0, "sigprocmask");
    signal(SIGUSR1, SIG_IGN);
    unlinkat(libexec_fd, "said", 0);
    ok(job_helper_sweep(&settings, 7, uid, gid, &err) == 0, "sweeps whatever slurmd's signals are");
    says(line_of("said"), "0 1 2 3 / ", "without what is open here, and where no file system is kept busy");
    says(line_of("said"), "SigBlk: 0000000000000000 SigIgn: 0000000000000000", "with all signals as usual");
    int session, leader;
    ok(sscanf(strchr(line_of("said"), '/') + 1, "%d=%d", &session, &leader) == 2 && session == leader,
       "in a session of its own");

    put("printf 'stowage-enter: it is\\n\\033[1m full\\n' >&2; exit 1");
    ok(job_helper_sweep(&settings, 7, uid, gid, &err) == -1, "says that a sweep failed");
    says(err.text, "could not be removed: stowage-enter: it is", "and why");
    put("printf 'it \\033[1m is\\n' >&2; exit 1");
    job_helper_sweep(&settings, 7, uid, gid, &err);
    says(err.text, "it ?[1m is", "without control characters");
    put("kill -9 $$");
    ok(job_helper_sweep(&settings, 7, uid, gid, &err) == -1, "says that a sweep was killed");
    says(err.text, "did not say why", "without a reason");

    unlinkat(libexec_fd, "stowage-enter", 0);
    ok(job_helper_prefetch(&settings, "app:1", PULL_OF_SITE, 7, uid, gid, &err) == -1 &&
           job_helper_sweep(&settings, 7, uid, gid, &err) == -1,
       "misses a missing helper");
    says(err.text, "administrators must install", "and says who can help");
    scratch_remove(libexec);
    return tap_done();
}
