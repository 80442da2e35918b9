#include "host_program.h"
#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

enum { EXIT_NOT_EXECUTED = 127, INPUT_MAX = 4096 };

static void execute(const struct host_program *program, int input, pid_t parent) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    signal(SIGTERM, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    // Of its own, so that what it starts can be killed with it.
    if (getppid() != parent || setpgid(0, 0) != 0 || null < 0 ||
        dup2(input >= 0 ? input : null, STDIN_FILENO) < 0 ||
        dup2(program->is_quiet ? null : STDERR_FILENO, STDOUT_FILENO) < 0 ||
        (program->is_quiet && dup2(null, STDERR_FILENO) < 0) ||
        (program->directory && chdir(program->directory) != 0))
        _exit(EXIT_NOT_EXECUTED);
    close_range(STDERR_FILENO + 1, ~0U, 0);
    execve(program->path, program->arguments, program->environment);
    _exit(EXIT_NOT_EXECUTED);
}

// A pipe that holds it; a program that does not read it keeps nobody waiting.
static int open_input(const char *text, struct error *err) {
    int ends[2];
    size_t length = strlen(text);
    if (length > INPUT_MAX)
        return error_set(err, "there is too much to tell it");
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_errno(err, "there are no pipes");
    cleanup_close int in = ends[0], out = ends[1];
    if (write(out, text, length) != (ssize_t)length)
        return error_errno(err, "it cannot be told");
    return steal_fd(&in);
}

static long milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// Returns whether it has ended in time.
static bool wait_for(int process, unsigned seconds) {
    long deadline = milliseconds() + (long)seconds * 1000;
    struct pollfd watched = {.fd = process, .events = POLLIN};
    for (;;) {
        long left = deadline - milliseconds();
        if (left <= 0)
            return false;
        int ready = poll(&watched, 1, left > INT_MAX ? INT_MAX : (int)left);
        if (ready > 0)
            return true;
    }
}

static int explain(int status, struct error *err) {
    if (WIFSIGNALED(status))
        return error_set(err, "it was ended by signal %d (%s)", WTERMSIG(status),
                         strsignal(WTERMSIG(status)));
    if (WEXITSTATUS(status) == EXIT_NOT_EXECUTED)
        return error_set(err, "it could not be executed (exit status %d)", EXIT_NOT_EXECUTED);
    return WEXITSTATUS(status) == 0 ? 0 : error_set(err, "it failed (exit status %d)", WEXITSTATUS(status));
}

int host_program_run(const struct host_program *program, struct error *err) {
    if (access(program->path, X_OK) != 0)
        return error_errno(err, "it cannot be executed on this node");
    cleanup_close int input = program->input ? open_input(program->input, err) : -1;
    if (program->input && input < 0)
        return -1;
    pid_t self = getpid();
    pid_t pid = fork();
    if (pid == 0)
        execute(program, input, self);
    if (pid < 0)
        return error_errno(err, "there are no processes");
    cleanup_close int process = pidfd_open(pid, 0);
    bool in_time = process >= 0 && wait_for(process, program->timeout_seconds);
    // Its group goes by its number, which nobody else can have before it was waited for.
    if (kill(-pid, SIGKILL) != 0)
        kill(pid, SIGKILL);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!in_time)
        return error_set(err, "it took longer than %u seconds", program->timeout_seconds);
    return explain(status, err);
}
