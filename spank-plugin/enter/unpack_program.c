#include "unpack_program.h"
#include "cleanup.h"
#include "sibling_program.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { EXIT_REFUSED = 1, EXIT_USAGE = 2, EXIT_NOT_EXECUTED = 127 };

int unpack_program_open(struct unpack_program *program, struct error *err) {
    *program = (struct unpack_program)UNPACK_PROGRAM_NONE;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_errno(err, "cannot make a pipe for stowage-unpack");
    program->streams[UNPACK_PROGRESS] = ends[0];
    program->progress_in = ends[1];
    return 0;
}

static void exec_program(const char *path, char **argv, const int *kept, size_t count, int progress,
                         int words, int records, pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent || dup2(words, STDERR_FILENO) < 0 || dup2(records, STDOUT_FILENO) < 0)
        _exit(EXIT_NOT_EXECUTED);
    fcntl(progress, F_SETFD, 0);
    for (size_t i = 0; i < count; i++)
        fcntl(kept[i], F_SETFD, 0);
    execv(path, argv);
    _exit(EXIT_NOT_EXECUTED);
}

int unpack_program_start(struct unpack_program *program, char **argv, const int *kept, size_t count,
                         struct error *err) {
    char path[PATH_MAX];
    int ends[2];
    if (sibling_program("stowage-unpack", path, err) != 0)
        return -1;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_errno(err, "cannot make a pipe for stowage-unpack");
    program->streams[UNPACK_WORDS] = ends[0];
    cleanup_close int words = ends[1];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_errno(err, "cannot make a pipe for stowage-unpack");
    program->streams[UNPACK_RECORDS] = ends[0];
    cleanup_close int records = ends[1];

    pid_t self = getpid();
    pid_t pid = fork();
    if (pid == 0)
        exec_program(path, argv, kept, count, program->progress_in, words, records, self);
    if (pid < 0)
        return error_errno(err, "cannot start stowage-unpack");
    program->pid = pid;
    close(steal_fd(&program->progress_in));
    return 0;
}

void unpack_program_watch(const struct unpack_program *program, struct pollfd watched[UNPACK_STREAMS]) {
    for (int i = 0; i < UNPACK_STREAMS; i++)
        watched[i] = (struct pollfd){.fd = program->streams[i], .events = POLLIN};
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

static bool drain_records(struct unpack_program *program, int fd) {
    char buffer[16 * 1024];
    ssize_t got = read(fd, buffer, sizeof buffer);
    if (got <= 0)
        return got < 0 && errno == EINTR;
    char *grown = NULL;
    if (program->records_length + (size_t)got <= UNPACK_RECORDS_MAX)
        grown = realloc(program->records, program->records_length + (size_t)got);
    if (!grown) {
        program->too_many_records = true;
        return true;
    }
    memcpy(grown + program->records_length, buffer, (size_t)got);
    program->records = grown;
    program->records_length += (size_t)got;
    return true;
}

static void take_lines(struct unpack_program *program) {
    char *newline;
    while ((newline = memchr(program->line, '\n', program->line_length))) {
        uint64_t layer, done, total;
        *newline = '\0';
        if (sscanf(program->line, "%" SCNu64 " %" SCNu64 " %" SCNu64, &layer, &done, &total) == 3) {
            program->layer = layer;
            program->done_bytes = done;
            program->total_bytes = total;
        }
        size_t taken = (size_t)(newline + 1 - program->line);
        memmove(program->line, newline + 1, program->line_length - taken);
        program->line_length -= taken;
    }
    // No line of progress is as long as that.
    if (program->line_length == sizeof program->line - 1)
        program->line_length = 0;
}

static bool drain_stream(struct unpack_program *program, int stream) {
    int fd = program->streams[stream];
    if (stream == UNPACK_RECORDS)
        return drain_records(program, fd);
    if (stream == UNPACK_WORDS)
        return drain(fd, program->words, sizeof program->words, &program->words_length);
    bool more = drain(fd, program->line, sizeof program->line, &program->line_length);
    take_lines(program);
    return more;
}

bool unpack_program_listen(struct unpack_program *program, const struct pollfd watched[UNPACK_STREAMS]) {
    bool open = false;
    for (int i = 0; i < UNPACK_STREAMS; i++) {
        if (program->streams[i] >= 0 && watched[i].revents && !drain_stream(program, i))
            close(steal_fd(&program->streams[i]));
        open = open || program->streams[i] >= 0;
    }
    return open;
}

static int explain(const struct unpack_program *program, int status, struct error *err) {
    const char *text = program->words;
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

int unpack_program_wait(struct unpack_program *program, bool *refused, struct error *err) {
    int status = 0;
    *refused = false;
    while (waitpid(program->pid, &status, 0) < 0) {
        if (errno != EINTR)
            return error_errno(err, "lost track of stowage-unpack");
    }
    program->pid = 0;
    while (program->words_length > 0 && program->words[program->words_length - 1] == '\n')
        program->words[--program->words_length] = '\0';
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    *refused = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_REFUSED;
    return explain(program, status, err);
}

void unpack_program_end(struct unpack_program *program) {
    if (program->pid > 0) {
        kill(program->pid, SIGKILL);
        while (waitpid(program->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    for (int i = 0; i < UNPACK_STREAMS; i++)
        cleanup_close_fd(&program->streams[i]);
    cleanup_close_fd(&program->progress_in);
    free(program->records);
    *program = (struct unpack_program)UNPACK_PROGRAM_NONE;
}
