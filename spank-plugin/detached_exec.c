#include "detached_exec.h"
#include "become_user.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

static int reset_signals(void) {
    sigset_t none;
    sigemptyset(&none);
    // Ignored signals would stay ignored in the program. Those that cannot be set were never ignored.
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    return sigprocmask(SIG_SETMASK, &none, NULL);
}

static int keep_alone(int kept, int kept_as) {
    // Out of the way of the numbers that are given away. A descriptor that has its number already would keep
    // its O_CLOEXEC.
    int copy = fcntl(kept, F_DUPFD, STDERR_FILENO + 2);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (copy < 0 || null < 0)
        return -1;
    for (int standard = STDIN_FILENO; standard <= STDERR_FILENO; standard++) {
        if (dup2(null, standard) < 0)
            return -1;
    }
    if (dup2(copy, kept_as) < 0)
        return -1;
    int last = kept_as > STDERR_FILENO ? kept_as : STDERR_FILENO;
    return close_range((unsigned)last + 1, ~0U, 0);
}

noreturn void detached_exec(const struct detached_program *program) {
    if (setsid() >= 0 && become_user(program->uid, program->gid) == 0 && chdir("/") == 0 &&
        reset_signals() == 0 && keep_alone(program->kept, program->kept_as) == 0)
        execve(program->path, program->argv, program->environment);
    _exit(EXIT_NOT_EXECUTED);
}
