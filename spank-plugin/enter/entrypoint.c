#include "entrypoint.h"
#include "cleanup.h"
#include "descriptor_keeper.h"
#include "entrypoint_report.h"
#include "environment_difference.h"
#include "root_emulation.h"
#include "sibling_program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum {
    // Some wait for a licence or set up a database; nobody waits longer for a step to start.
    DEADLINE_SECONDS = 300,
};

// The deadline may be shorter, in a test for example.
#define SECONDS_VARIABLE "STOWAGE_ENTRYPOINT_SECONDS"

struct run {
    pid_t pid;
    int process;
    // Where stowage-report writes.
    int report;
    // Where the child says errno if it cannot execute the entrypoint.
    int failure;
};

static int deadline_seconds(void) {
    const char *text = getenv(SECONDS_VARIABLE);
    int seconds = text ? atoi(text) : 0;
    return seconds > 0 && seconds < DEADLINE_SECONDS ? seconds : DEADLINE_SECONDS;
}

int entrypoint_prepare(struct entrypoint *entrypoint, const Stowage__V1__ContainerPlan *plan,
                       struct error *err) {
    char path[PATH_MAX];
    *entrypoint = (struct entrypoint){.reporter = -1};
    if (!plan->run_entrypoint || !plan->config || plan->config->n_entrypoint == 0)
        return 0;
    if (sibling_program("stowage-report", path, err) != 0)
        return -1;
    entrypoint->reporter = open(path, O_PATH | O_CLOEXEC);
    return entrypoint->reporter >= 0 ? 0 : error_errno(err, "cannot open %s", path);
}

static char **command_line(const Stowage__V1__ImageConfig *config, char *reporter, char *report) {
    size_t count = config->n_entrypoint;
    char **argv = calloc(count + 3, sizeof *argv);
    if (!argv)
        return NULL;
    memcpy(argv, config->entrypoint, count * sizeof *argv);
    argv[count] = reporter;
    argv[count + 1] = report;
    return argv;
}

static void exec_entrypoint(char **argv, char **variables, const char *directory, bool as_root, int failure) {
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    // Its output goes to the user, apart from what ranks print.
    struct error ignored;
    if ((!as_root || root_emulation_start(&ignored) == 0) && setpgid(0, 0) == 0 && chdir(directory) == 0 &&
        dup2(STDERR_FILENO, STDOUT_FILENO) >= 0) {
        environ = variables;
        execvp(argv[0], argv);
    }
    int number = errno;
    if (write(failure, &number, sizeof number) < 0)
        _exit(126);
    _exit(127);
}

static int explain_exit(int status, const char *name, struct error *err) {
    if (WIFSIGNALED(status))
        return error_set(err, "the image's entrypoint %s was ended by signal %d (%s)", name, WTERMSIG(status),
                         strsignal(WTERMSIG(status)));
    if (WEXITSTATUS(status) != 0)
        return error_set(
            err,
            "the image's entrypoint %s failed with exit code %d; --no-image-entrypoint leaves it "
            "out",
            name, WEXITSTATUS(status));
    return error_set(err,
                     "the image's entrypoint %s ended without executing the command that it was given; "
                     "--no-image-entrypoint leaves it out",
                     name);
}

// Ends the entrypoint with all that it started and that did not leave its process group.
static int end(const struct run *run) {
    int status = 0;
    kill(-run->pid, SIGKILL);
    while (waitpid(run->pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static int supervise(const struct run *run, const char *name, struct entrypoint_report *report,
                     struct error *err) {
    int number = 0;
    if (read(run->failure, &number, sizeof number) == sizeof number) {
        end(run);
        errno = number;
        return error_errno(err, "cannot run the image's entrypoint %s; --no-image-entrypoint leaves it out",
                           name);
    }
    int seconds = deadline_seconds();
    int ended = entrypoint_report_receive(report, run->report, run->process, seconds, err);
    if (ended <= 0) {
        end(run);
        return ended < 0 ? error_wrap(err, "the image's entrypoint %s", name)
                         : error_set(err,
                                     "the image's entrypoint %s has not ended after %d seconds; "
                                     "--no-image-entrypoint leaves it out",
                                     name, seconds);
    }
    int status = 0;
    while (waitpid(run->pid, &status, 0) < 0 && errno == EINTR)
        ;
    bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0 && report->complete;
    return good ? 0 : explain_exit(status, name, err);
}

static int run(char **argv, char **variables, const char *directory, bool as_root, int report_end,
               struct entrypoint_report *report, struct error *err) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_errno(err, "cannot make a pipe");
    cleanup_close int failure = ends[0], theirs = ends[1];
    pid_t pid = fork();
    if (pid < 0)
        return error_errno(err, "cannot run the image's entrypoint");
    if (pid == 0)
        exec_entrypoint(argv, variables, directory, as_root, theirs);
    close(steal_fd(&theirs));
    cleanup_close int process = pidfd_open(pid, 0);
    const struct run running = {.pid = pid, .process = process, .report = report_end, .failure = failure};
    return supervise(&running, argv[0], report, err);
}

static int take_over(struct entrypoint *entrypoint, const Stowage__V1__ContainerPlan *plan,
                     struct entrypoint_report *report, char *const *before, struct environment *environment,
                     const char **directory, struct error *err) {
    struct environment changed = {0};
    int result =
        environment_add_difference(&changed, before, report->variables, report->variables_bytes, err);
    if (result == 0)
        result = environment_merge(environment, &changed, err);
    environment_release(&changed);
    if (result != 0)
        return error_wrap(err, "what the image's entrypoint made of the environment cannot be used");
    if (!plan->working_directory_asked_for && report->directory[0] == '/') {
        entrypoint->directory = strdup(report->directory);
        *directory = entrypoint->directory ? entrypoint->directory : *directory;
    }
    return 0;
}

// With descriptors that do not have to get through the entrypoint, and nothing put into the image.
static int run_reporting(const struct entrypoint *entrypoint, const Stowage__V1__ContainerPlan *plan,
                         char **variables, const char *directory, struct entrypoint_report *report,
                         struct error *err) {
    int ends[2];
    struct descriptor_keeper keeper;
    char reporter[KEPT_PATH_MAX], written[KEPT_PATH_MAX];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return error_errno(err, "cannot make a pipe for the image's entrypoint");
    cleanup_close int ours = ends[0], theirs = ends[1];
    if (descriptor_keeper_start(&keeper, err) != 0)
        return -1;
    descriptor_keeper_path(&keeper, entrypoint->reporter, reporter);
    descriptor_keeper_path(&keeper, theirs, written);
    cleanup_free char **argv = command_line(plan->config, reporter, written);
    int result = argv ? run(argv, variables, directory, plan->root_user, ours, report, err)
                      : error_errno(err, "cannot hold the command line of the image's entrypoint");
    descriptor_keeper_end(&keeper);
    return result;
}

int entrypoint_run(struct entrypoint *entrypoint, const Stowage__V1__ContainerPlan *plan,
                   struct environment *environment, const char **directory, struct progress *progress,
                   struct error *err) {
    if (!plan->run_entrypoint)
        return 0;
    if (entrypoint->reporter < 0) {
        progress_say(progress, "the image has no entrypoint to run; ranks start without one");
        return 0;
    }
    cleanup_free char **before = environment_apply(environment, environ, err);
    if (!before)
        return -1;
    struct entrypoint_report report = {0};
    // Entries may be freed as others take their place: the difference is taken before that.
    int result = run_reporting(entrypoint, plan, before, *directory, &report, err);
    if (result == 0)
        result = take_over(entrypoint, plan, &report, before, environment, directory, err);
    entrypoint_report_release(&report);
    return result;
}
