#include "supervise.hh"
#include "refusal.hh"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <csignal>
#include <cstdio>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace stowage {

namespace {

// The caller may have set a lower limit.
uint64_t seconds_allowed(uint64_t max_seconds) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_CPU, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return max_seconds;
    return max_seconds > 0 ? std::min<uint64_t>(max_seconds, limit.rlim_cur) : limit.rlim_cur;
}

int explain_death(int signal, uint64_t max_seconds) {
    switch (signal) {
    case SIGKILL:
        dprintf(STDERR_FILENO,
                "unpacking the image was killed, most likely because it needs more memory than the "
                "job has; ask for more with --mem\n");
        return static_cast<int>(Fault::node);
    case SIGXCPU:
        dprintf(STDERR_FILENO,
                "unpacking the image took more than %" PRIu64
                " seconds of processor time, which is what this "
                "site allows; use a smaller image or ask the administrator for more\n",
                seconds_allowed(max_seconds));
        return static_cast<int>(Fault::image);
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

int supervise(uint64_t max_seconds, const std::function<int()> &work) {
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
    return WIFEXITED(status) ? WEXITSTATUS(status) : explain_death(WTERMSIG(status), max_seconds);
}

} // namespace stowage
