#include "credential_program.h"
#include "cleanup.h"
#include "enter/wiped_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { ANSWER_MAX = 64 * 1024, EXIT_NOT_EXECUTED = 127 };

static const char STANDARD_PATH[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// The user name of a login that is a token (docker-credential-helpers).
static const char TOKEN_NAME[] = "<token>";

// Docker Hub's logins are kept under the address of its oldest API.
static const char HUB_ADDRESS[] = "https://index.docker.io/v1/";

static bool is_program(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, X_OK) == 0;
}

// A relative directory in the list would mean whatever happens to lie where the job was started.
static bool find_along(const char *directories, const char *name, char path[PATH_MAX]) {
    while (*directories) {
        int length = (int)strcspn(directories, ":");
        if (directories[0] == '/' &&
            snprintf(path, PATH_MAX, "%.*s/docker-credential-%s", length, directories, name) < PATH_MAX &&
            is_program(path))
            return true;
        directories += length + (directories[length] == ':');
    }
    return false;
}

static void exec_program(const char *path, int question, int answer, pid_t parent) {
    char *argv[] = {strrchr(path, '/') + 1, "get", NULL};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    signal(SIGTERM, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    if (getppid() != parent || null < 0 || dup2(question, STDIN_FILENO) < 0 ||
        dup2(answer, STDOUT_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0)
        _exit(EXIT_NOT_EXECUTED);
    close_range(STDERR_FILENO + 1, ~0U, 0);
    execv(path, argv);
    _exit(EXIT_NOT_EXECUTED);
}

// Starts the program with `question` on its standard input, where it fits without waiting. Returns the end to
// read the answer from.
static int start(const char *path, const char *question, pid_t *pid, struct error *problem) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_errno(problem, "there are no pipes");
    cleanup_close int asked = ends[0], asking = ends[1];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_errno(problem, "there are no pipes");
    cleanup_close int answer = ends[0], answering = ends[1];
    pid_t self = getpid();
    *pid = fork();
    if (*pid == 0)
        exec_program(path, asked, answering, self);
    if (*pid < 0)
        return error_errno(problem, "there are no processes");
    close(steal_fd(&asked));
    if (dprintf(asking, "%s\n", question) < 0 && errno != EPIPE)
        return error_errno(problem, "it cannot be asked");
    return steal_fd(&answer);
}

static int read_answer(int fd, char *answer, struct error *problem) {
    size_t used = 0;
    for (;;) {
        ssize_t got = read(fd, answer + used, ANSWER_MAX - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_errno(problem, "its answer cannot be read");
        if (got == 0)
            break;
        used += (size_t)got;
        if (used == ANSWER_MAX)
            return error_set(problem, "its answer is longer than %d bytes", ANSWER_MAX - 1);
    }
    answer[used] = '\0';
    return 0;
}

static int wait_for(pid_t pid) {
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static int parse(const char *answer, struct login *login, struct error *problem) {
    json_error_t ignored;
    json_t *root = json_loads(answer, JSON_REJECT_DUPLICATES, &ignored);
    const json_t *username = json_object_get(root, "Username"), *secret = json_object_get(root, "Secret");
    int result;
    if (!json_is_string(username) || !json_is_string(secret))
        result = error_set(problem, "its answer is not JSON with Username and Secret");
    else if (strcmp(json_string_value(username), TOKEN_NAME) == 0)
        result = login_set_token(login, json_string_value(secret), json_string_length(secret), problem);
    else
        result = login_set_password(login, json_string_value(username), json_string_length(username),
                                    json_string_value(secret), json_string_length(secret), problem);
    json_decref(root);
    return result == 0 ? 1 : -1;
}

static int ask(const char *path, const char *question, char *answer, struct login *login,
               struct error *problem) {
    pid_t pid = -1;
    cleanup_close int fd = start(path, question, &pid, problem);
    if (fd < 0)
        return -1;
    int result = read_answer(fd, answer, problem);
    if (result != 0)
        kill(pid, SIGKILL);
    int status = wait_for(pid);
    if (result != 0)
        return -1;
    if (WIFSIGNALED(status))
        return error_set(problem, "it was ended by signal %d (%s)", WTERMSIG(status),
                         strsignal(WTERMSIG(status)));
    if (WEXITSTATUS(status) == 0)
        return parse(answer, login, problem);
    // The one message that the protocol fixes.
    if (strstr(answer, "credentials not found"))
        return 0;
    return error_set(problem, "it failed (exit status %d)", WEXITSTATUS(status));
}

int credential_program_ask(const char *name, const char *registry, struct login *login,
                           struct error *problem) {
    char path[PATH_MAX];
    const char *directories = getenv("PATH");
    if (!(directories && find_along(directories, name, path)) && !find_along(STANDARD_PATH, name, path))
        return error_set(problem, "names docker-credential-%s, which is not installed on this node", name);
    cleanup_wiped char *answer = malloc(ANSWER_MAX);
    if (!answer)
        return error_errno(problem, "names docker-credential-%s, whose answer cannot be held", name);
    bool is_hub = strcmp(registry, "docker.io") == 0;
    int result = ask(path, is_hub ? HUB_ADDRESS : registry, answer, login, problem);
    if (result == 0 && is_hub)
        result = ask(path, registry, answer, login, problem);
    if (result < 0)
        return error_wrap(problem, "names docker-credential-%s, which is of no use", name);
    return result;
}
