#include "supervise.hh"
#include "refusal.hh"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace stowage {

namespace {

int explain_death(int signal) {
    switch (signal) {
    case SIGKILL:
        dprintf(STDERR_FILENO,
                "unpacking the image was killed, most likely because it needs more memory than the "
                "job has; ask for more with --mem\n");
        return static_cast<int>(Fault::node);
    case SIGSYS:
        dprintf(STDERR_FILENO,
                "unpacking the image was stopped because it tried what an unpacker has no business "
                "with; do not use this image, and report it to the administrator\n");
        return static_cast<int>(Fault::image);
    default:
        dprintf(STDERR_FILENO,
                "unpacking the image ended with signal %d, which no image should cause; do not use "
                "this image, and report it to the administrator\n",
                signal);
        return static_cast<int>(Fault::image);
    }
}

} // namespace

int supervise(const std::function<int()> &work) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child < 0)
        fail_with(errno, "cannot start the unpacker");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(static_cast<int>(Fault::node));
        _exit(work());
    }
    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            fail_with(errno, "cannot wait for the unpacker");
    return WIFEXITED(status) ? WEXITSTATUS(status) : explain_death(WTERMSIG(status));
}

} // namespace stowage
