#include "save_wait.h"
#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

// Descriptors of the saver, see enter/save.h.
enum { SAVER_GO = 1, SAVER_RESULT = 3 };

static int open_of_saver(pid_t saver, int fd, int flags, struct error *err) {
    char path[48];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)saver, fd);
    int opened = open(path, flags | O_CLOEXEC);
    return opened >= 0 ? opened : error_errno(err, "cannot reach the process that is to save the container");
}

// Keeps only what this process waits with, and where it says what came of it.
static int keep_alone(int *go, int *result) {
    enum { NULL_FD, GO_FD, STDERR_FD, RESULT_FD, COUNT };
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int copies[COUNT] = {fcntl(null, F_DUPFD, COUNT), fcntl(*go, F_DUPFD, COUNT),
                         fcntl(STDERR_FILENO, F_DUPFD, COUNT), fcntl(*result, F_DUPFD, COUNT)};
    // Where a rank has no standard error.
    if (copies[STDERR_FD] < 0)
        copies[STDERR_FD] = fcntl(null, F_DUPFD, COUNT);
    for (int i = 0; i < COUNT; i++) {
        if (copies[i] < 0 || dup2(copies[i], i) < 0)
            return -1;
    }
    *go = GO_FD;
    *result = RESULT_FD;
    return close_range(COUNT, ~0U, 0);
}

static volatile sig_atomic_t terminated;

static void note_termination(int number) {
    (void)number;
    terminated = 1;
}

// What is sent to all processes of the step is meant for its programs.
static void ignore_signals(void) {
    sigset_t none;
    for (int number = 1; number < NSIG; number++) {
        if (number != SIGCHLD)
            signal(number, SIG_IGN);
    }
    signal(SIGTERM, note_termination);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

// Whether the program has ended because the step is cancelled, or has used up its time. One that took the
// signal and ended by itself is saved.
static bool was_cancelled(int status) {
    return terminated && WIFSIGNALED(status) && (WTERMSIG(status) == SIGTERM || WTERMSIG(status) == SIGKILL);
}

// Hands on what is said. Returns whether the file is in place.
static bool pass_on(int result) {
    char text[1024];
    for (;;) {
        ssize_t got = read(result, text, sizeof text);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        bool is_end = text[got - 1] == '\0';
        ssize_t length = got - is_end;
        // Where there is nobody to read it, the exit code tells as much.
        if (write(STDERR_FILENO, text, (size_t)length) < length || is_end)
            return is_end;
    }
}

// Whether the file is in place. The process that saves notices if this one ends meanwhile.
static bool wait_for_file(int go, int result) {
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    return write(go, "", 1) == 1 && pass_on(result);
}

// Ends this process as its child ended, without a second core file.
static void end_alike(int status) {
    const struct rlimit none = {0};
    if (WIFSIGNALED(status)) {
        sigset_t all;
        setrlimit(RLIMIT_CORE, &none);
        signal(WTERMSIG(status), SIG_DFL);
        sigemptyset(&all);
        raise(WTERMSIG(status));
        sigprocmask(SIG_SETMASK, &all, NULL);
    }
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

// srun under a debugger has ranks stop for it (slurmstepd's pdebug.c), but those that Slurm knows, of which
// this is one.
static void refuse_debugger(pid_t rank) {
    static const char text[] = "stowage: --image-save: a debugger cannot start ranks whose container is "
                               "saved; leave out --image-save or the debugger\n";
    kill(rank, SIGKILL);
    ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    _exit(written < 0 ? EXIT_FAILURE + 1 : EXIT_FAILURE);
}

static int wait_for_end(pid_t rank) {
    int status = 0;
    while (waitpid(rank, &status, 0) < 0 && errno == EINTR)
        ;
    // Only one that is traced is seen to stop.
    if (WIFSTOPPED(status))
        refuse_debugger(rank);
    return status;
}

static void wait_for_rank(struct step *step, pid_t rank, int go, int result) {
    prctl(PR_SET_NAME, "stowage-wait", 0, 0, 0);
    prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
    ignore_signals();
    if (keep_alone(&go, &result) != 0)
        _exit(1);
    int status = wait_for_end(rank);
    bool failed = step_ended(step) && !was_cancelled(status) && !wait_for_file(go, result);
    if (failed && status == 0)
        _exit(1);
    end_alike(status);
}

int save_wait_split(struct step *step, struct error *err) {
    pid_t saver = step_container(step)->saver;
    if (saver == 0)
        return 0;
    cleanup_close int go = open_of_saver(saver, SAVER_GO, O_WRONLY, err);
    cleanup_close int result = go < 0 ? -1 : open_of_saver(saver, SAVER_RESULT, O_RDONLY, err);
    if (result < 0)
        return -1;
    // Until the signals are ignored there.
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t rank = fork();
    if (rank < 0) {
        error_errno(err, "cannot start the rank's program");
        sigprocmask(SIG_SETMASK, &before, NULL);
        return -1;
    }
    if (rank > 0)
        wait_for_rank(step, rank, steal_fd(&go), steal_fd(&result));
    sigprocmask(SIG_SETMASK, &before, NULL);
    return 0;
}
