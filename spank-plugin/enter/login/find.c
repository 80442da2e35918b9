#include "find.h"
#include "cleanup.h"
#include "enter/wiped_memory.h"
#include "search.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

enum {
    STEP_MS = 10 * 1000,
    // Less than the thirty seconds that stowaged waits.
    TOTAL_MS = 20 * 1000,
    // Room for all parts of a login.
    ANSWER_MAX = 4 * LOGIN_PART_MAX,
};

// What the process says: records of one byte for the kind, four for the length, and so many bytes. All but
// DOING make up the answer.
enum record_kind {
    RECORD_DOING = 'D',
    RECORD_USERNAME = 'U',
    RECORD_PASSWORD = 'P',
    RECORD_TOKEN = 'T',
    RECORD_SOURCE = 'S',
    RECORD_PROBLEM = 'E',
    RECORD_REMARK = 'R',
    RECORD_END = 'Z',
};

enum { RECORD_HEAD = 1 + sizeof(uint32_t) };

static void write_all(int fd, const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t written = write(fd, bytes, length);
        if (written < 0 && errno == EINTR)
            continue;
        // Nobody listens any more.
        if (written < 0)
            _exit(1);
        bytes += written;
        length -= (size_t)written;
    }
}

static void tell(int fd, enum record_kind kind, const char *bytes, size_t length) {
    uint32_t size = (uint32_t)length;
    char head[RECORD_HEAD] = {(char)kind};
    memcpy(head + 1, &size, sizeof size);
    write_all(fd, head, sizeof head);
    write_all(fd, bytes, length);
}

static void tell_text(int fd, enum record_kind kind, const char *text) {
    if (text)
        tell(fd, kind, text, strlen(text));
}

static void tell_doing(void *context, const char *what) {
    tell_text(*(int *)context, RECORD_DOING, what);
}

// The group is that of the searching process and the program it runs.
static void end_group(int signal_number) {
    (void)signal_number;
    kill(0, SIGKILL);
}

// Leaves nothing open but the answer, which gets the returned number: whoever waits for the end of another of
// these descriptors shall not wait for a file server.
static int keep_answer_alone(int answer) {
    enum { ANSWER_FD = STDERR_FILENO + 1 };
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int standard = STDIN_FILENO; standard <= STDERR_FILENO; standard++)
        dup2(null, standard);
    if (dup3(answer, ANSWER_FD, O_CLOEXEC) < 0 && errno != EINVAL)
        _exit(1);
    close_range(ANSWER_FD + 1, ~0U, 0);
    return ANSWER_FD;
}

// The searching process. What it reads must be in nobody's core dump, and no other process of the user's may
// look into it.
static void search_and_exit(const char *registry, const char *repository, const char *home, int answer,
                            pid_t parent) {
    setpgid(0, 0);
    signal(SIGTERM, end_group);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
    if (getppid() != parent)
        _exit(1);
    answer = keep_answer_alone(answer);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    json_set_alloc_funcs(malloc, wiped_free);
    const struct login_search search = {.registry = registry,
                                        .repository = repository,
                                        .home = home,
                                        .doing = tell_doing,
                                        .context = &answer};
    struct login login;
    login_search(&search, &login);
    tell_text(answer, RECORD_USERNAME, login.username);
    if (login.password)
        tell(answer, RECORD_PASSWORD, login.password, login.password_bytes);
    tell_text(answer, RECORD_TOKEN, login.identity_token);
    tell_text(answer, RECORD_SOURCE, login.source);
    tell_text(answer, RECORD_PROBLEM, login.problem.text);
    tell_text(answer, RECORD_REMARK, login.remark.text);
    tell(answer, RECORD_END, "", 0);
    login_release(&login);
    _exit(0);
}

// What is heard of the searching process.
struct hearing {
    char *bytes;
    size_t length;
    char doing[LOGIN_SOURCE_MAX];
    bool complete;
};

static char *copy_of(const char *bytes, size_t length) {
    char *copy = malloc(length + 1);
    if (copy) {
        memcpy(copy, bytes, length);
        copy[length] = '\0';
    }
    return copy;
}

static void take_record(struct hearing *hearing, struct login *login, char kind, const char *bytes,
                        size_t length) {
    switch (kind) {
    case RECORD_DOING:
        snprintf(hearing->doing, sizeof hearing->doing, "%.*s", (int)length, bytes);
        break;
    case RECORD_USERNAME:
        login->username = copy_of(bytes, length);
        break;
    case RECORD_PASSWORD:
        login->password = copy_of(bytes, length);
        login->password_bytes = length;
        break;
    case RECORD_TOKEN:
        login->identity_token = copy_of(bytes, length);
        break;
    case RECORD_SOURCE:
        snprintf(login->source, sizeof login->source, "%.*s", (int)length, bytes);
        break;
    case RECORD_PROBLEM:
        error_set(&login->problem, "%.*s", (int)length, bytes);
        break;
    case RECORD_REMARK:
        error_set(&login->remark, "%.*s", (int)length, bytes);
        break;
    default:
        hearing->complete = kind == RECORD_END;
    }
}

// Takes whole records off the front. Returns whether there was one.
static bool take_records(struct hearing *hearing, struct login *login) {
    size_t at = 0;
    while (hearing->length - at >= RECORD_HEAD) {
        const char *record = hearing->bytes + at;
        uint32_t length;
        memcpy(&length, record + 1, sizeof length);
        if (hearing->length - at - RECORD_HEAD < length)
            break;
        take_record(hearing, login, record[0], record + RECORD_HEAD, length);
        at += RECORD_HEAD + length;
    }
    memmove(hearing->bytes, hearing->bytes + at, hearing->length - at);
    hearing->length -= at;
    return at > 0;
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// Listens until the answer is there. False at a deadline.
static bool listen_to(int fd, struct hearing *hearing, struct login *login) {
    int64_t all_ends = now_ms() + TOTAL_MS, step_ends = now_ms() + STEP_MS;
    while (!hearing->complete) {
        int64_t left = (step_ends < all_ends ? step_ends : all_ends) - now_ms();
        struct pollfd answer = {.fd = fd, .events = POLLIN};
        int heard = left > 0 ? poll(&answer, 1, (int)left) : 0;
        if (heard == 0)
            return false;
        if (heard < 0)
            continue;
        ssize_t got = read(fd, hearing->bytes + hearing->length, ANSWER_MAX - hearing->length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        hearing->length += (size_t)got;
        if (take_records(hearing, login))
            step_ends = now_ms() + STEP_MS;
    }
    return true;
}

static pid_t start(const char *registry, const char *repository, const char *home, int *fd) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    pid_t self = getpid();
    pid_t pid = fork();
    if (pid == 0)
        search_and_exit(registry, repository, home, ends[1], self);
    close(ends[1]);
    if (pid < 0)
        close(ends[0]);
    else
        *fd = ends[0];
    // Here as well as there, so that the group exists before anybody ends it.
    if (pid > 0)
        setpgid(pid, pid);
    return pid;
}

// Ends the process with its group. One that waits for a server that is gone cannot be waited for; it ends
// when the server is back, or with this process's own end.
static void end(pid_t pid, bool in_time) {
    kill(-pid, SIGKILL);
    while (waitpid(pid, NULL, in_time ? 0 : WNOHANG) < 0 && errno == EINTR)
        ;
}

void login_find(const char *registry, const char *repository, const char *home, struct login *login) {
    *login = (struct login){0};
    cleanup_wiped char *bytes = malloc(ANSWER_MAX);
    struct hearing hearing = {.bytes = bytes};
    cleanup_close int fd = -1;
    pid_t pid = bytes ? start(registry, repository, home, &fd) : -1;
    if (pid < 0) {
        error_errno(&login->problem, "the files with your logins cannot be looked into");
        return;
    }
    bool in_time = listen_to(fd, &hearing, login);
    end(pid, in_time);
    if (hearing.complete)
        return;
    login_release(login);
    error_set(&login->problem,
              in_time ? "%s: looking for your login there failed" : "%s has not answered within ten seconds",
              hearing.doing);
}
