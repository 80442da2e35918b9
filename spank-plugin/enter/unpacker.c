#include "unpacker.h"
#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { EXIT_USAGE = 2, EXIT_NOT_EXECUTED = 127, FIXED_ARGUMENTS = 12, NUMBER_TEXT_MAX = 24 };

// What the program says while it runs.
struct output {
    char progress[256];
    size_t progress_length;
    char sentence[ERROR_TEXT_MAX];
    size_t sentence_length;
};

static int unpacker_path(char path[PATH_MAX], struct error *err) {
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);
    if (length < 0)
        return error_errno(err, "cannot tell where stowage-enter is installed");
    path[length] = '\0';
    char *name = strrchr(path, '/') + 1;
    if ((size_t)snprintf(name, (size_t)(path + PATH_MAX - name), "stowage-unpack") >=
        (size_t)(path + PATH_MAX - name))
        return error_set(err, "the path of stowage-unpack is too long");
    if (access(path, X_OK) != 0)
        return error_set(err, "%s cannot be run (%s); the administrators must install Stowage on this node",
                         path, strerror(errno));
    return 0;
}

// NULL-terminated; each string and the array are owned by the caller.
static char **make_arguments(int root, int progress_fd, const Stowage__V1__ContainerPlan *plan,
                             const int *descriptors) {
    char **argv = calloc(FIXED_ARGUMENTS + 2 * plan->n_layers, sizeof *argv);
    size_t count = 0;
    bool whole = argv != NULL;
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"--root-fd", (uint64_t)root},
        {"--max-bytes", plan->budget ? plan->budget->max_bytes : 0},
        {"--max-inodes", plan->budget ? plan->budget->max_inodes : 0},
        {"--progress-fd", (uint64_t)progress_fd},
    };
    if (whole)
        whole = (argv[count++] = strdup("stowage-unpack")) != NULL;
    for (size_t i = 0; whole && i < sizeof numbers / sizeof *numbers; i++) {
        whole = (argv[count++] = strdup(numbers[i].name)) != NULL &&
                asprintf(&argv[count++], "%" PRIu64, numbers[i].value) > 0;
    }
    for (size_t i = 0; whole && i < plan->n_layers; i++) {
        const Stowage__V1__Layer *layer = plan->layers[i];
        whole = (argv[count++] = strdup("--layer")) != NULL &&
                asprintf(&argv[count++], "%d:%" PRIu64 ":%s:%s", descriptors[i], layer->size_bytes,
                         layer->digest, layer->diff_id) > 0;
    }
    return argv;
}

static void free_arguments(char **argv) {
    for (char **at = argv; at && *at; at++)
        free(*at);
    free(argv);
}

static void exec_unpacker(const char *path, char **argv, int root, int progress_fd, int stderr_fd,
                          const int *descriptors, size_t count, pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent || dup2(stderr_fd, STDERR_FILENO) < 0)
        _exit(EXIT_NOT_EXECUTED);
    fcntl(root, F_SETFD, 0);
    fcntl(progress_fd, F_SETFD, 0);
    for (size_t i = 0; i < count; i++)
        fcntl(descriptors[i], F_SETFD, 0);
    execv(path, argv);
    _exit(EXIT_NOT_EXECUTED);
}

// Lines are "<layer> <bytes done> <bytes total>".
static void report(struct output *output, const Stowage__V1__ContainerPlan *plan, struct progress *progress) {
    uint64_t image_total = 0;
    for (size_t i = 0; i < plan->n_layers; i++)
        image_total += plan->layers[i]->size_bytes;
    char *newline;
    while ((newline = memchr(output->progress, '\n', output->progress_length))) {
        size_t layer;
        uint64_t done, total;
        *newline = '\0';
        if (sscanf(output->progress, "%zu %" SCNu64 " %" SCNu64, &layer, &done, &total) == 3) {
            for (size_t i = 0; i < layer && i < plan->n_layers; i++)
                done += plan->layers[i]->size_bytes;
            progress_bytes(progress, "unpacking", done, image_total);
        }
        size_t taken = (size_t)(newline + 1 - output->progress);
        memmove(output->progress, newline + 1, output->progress_length - taken);
        output->progress_length -= taken;
    }
}

// Appends what is there to read; what does not fit is dropped. False at the end of the stream.
static bool drain(int fd, char *buffer, size_t size, size_t *length) {
    char excess[512];
    size_t room = size - 1 - *length;
    ssize_t got = read(fd, room ? buffer + *length : excess, room ? room : sizeof excess);
    if (got < 0)
        return errno == EINTR;
    if (room)
        *length += (size_t)got;
    buffer[*length] = '\0';
    return got > 0;
}

static void listen_until_end(int progress_fd, int stderr_fd, const Stowage__V1__ContainerPlan *plan,
                             struct progress *progress, struct output *output) {
    struct pollfd streams[] = {{.fd = progress_fd, .events = POLLIN}, {.fd = stderr_fd, .events = POLLIN}};
    while (streams[0].fd >= 0 || streams[1].fd >= 0) {
        if (poll(streams, 2, -1) < 0 && errno != EINTR)
            return;
        if (streams[0].revents) {
            if (!drain(progress_fd, output->progress, sizeof output->progress, &output->progress_length))
                streams[0].fd = -1;
            report(output, plan, progress);
        }
        if (streams[1].revents &&
            !drain(stderr_fd, output->sentence, sizeof output->sentence, &output->sentence_length))
            streams[1].fd = -1;
    }
}

static void trim_newlines(struct output *output) {
    while (output->sentence_length > 0 && output->sentence[output->sentence_length - 1] == '\n')
        output->sentence[--output->sentence_length] = '\0';
}

static int explain(int status, const struct output *output, struct error *err) {
    const char *text = output->sentence;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return error_set(err,
                         "unpacking was killed, most likely because the step ran out of memory; ask for more "
                         "with --mem");
    if (WIFSIGNALED(status))
        return error_set(err, "stowage-unpack was ended by signal %d (%s)", WTERMSIG(status),
                         strsignal(WTERMSIG(status)));
    if (WEXITSTATUS(status) == EXIT_USAGE)
        return error_set(err,
                         "stowaged sent a plan that stowage-unpack has no use for; the administrators must "
                         "install the same release of both");
    if (WEXITSTATUS(status) == EXIT_NOT_EXECUTED)
        return error_set(err, "stowage-unpack could not be started");
    if (*text == '\0')
        return error_set(err, "stowage-unpack failed without a reason (status %d)", WEXITSTATUS(status));
    return error_set(err, "%s", strncmp(text, "stowage-unpack: ", 16) == 0 ? text + 16 : text);
}

int unpacker_run(int root, const Stowage__V1__ContainerPlan *plan, const int *descriptors,
                 struct progress *progress, struct error *err) {
    char path[PATH_MAX];
    if (plan->n_layers == 0)
        return error_set(err, "the image has no layers");
    if (unpacker_path(path, err) != 0)
        return -1;
    int progress_pipe[2], stderr_pipe[2];
    if (pipe2(progress_pipe, O_CLOEXEC) != 0)
        return error_errno(err, "cannot make a pipe for stowage-unpack");
    cleanup_close int progress_out = progress_pipe[0];
    cleanup_close int progress_in = progress_pipe[1];
    if (pipe2(stderr_pipe, O_CLOEXEC) != 0)
        return error_errno(err, "cannot make a pipe for stowage-unpack");
    cleanup_close int stderr_out = stderr_pipe[0];
    cleanup_close int stderr_in = stderr_pipe[1];

    char **argv = make_arguments(root, progress_in, plan, descriptors);
    pid_t self = getpid();
    pid_t pid = argv ? fork() : -1;
    if (pid == 0)
        exec_unpacker(path, argv, root, progress_in, stderr_in, descriptors, plan->n_layers, self);
    free_arguments(argv);
    if (pid < 0)
        return error_errno(err, "cannot start stowage-unpack");
    close(steal_fd(&progress_in));
    close(steal_fd(&stderr_in));

    struct output output = {0};
    listen_until_end(progress_out, stderr_out, plan, progress, &output);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return error_errno(err, "lost track of stowage-unpack");
    }
    trim_newlines(&output);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return explain(status, &output, err);
    // Success with words, such as devices that were left out, is for the user to see once.
    if (output.sentence_length > 0)
        progress_say(progress, output.sentence);
    return 0;
}
