#include "exec/handover.h"
#include "countdown.h"
#include "scratch.h"
#include "tap.h"

#include <sys/mman.h>

static struct step_container given, taken;

static const char ENVIRONMENT[] = "=A=1\0-B";

static bool closes_on_exec(int fd) {
    return (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

static int make(void) {
    struct error err;
    int countdown, fd = -1;
    cleanup_close int holder = open("/dev/null", O_RDONLY | O_CLOEXEC);
    must(countdown_make(1, &countdown, &err) == 0, "countdown_make");
    struct handover_descriptors descriptors = {.holder = holder, .countdown = countdown};
    must(handover_make(&given, &descriptors, &fd, &err) == 0, "handover_make");
    return fd;
}

static int copy_of(int fd, size_t bytes) {
    static char content[sizeof given];
    ssize_t got = pread(fd, content, bytes, 0);
    int copy = memfd_create("copy", 0);
    must(got > 0 && write(copy, content, (size_t)got) == got && lseek(copy, 0, SEEK_SET) == 0, "copy");
    return copy;
}

int main(void) {
    struct error err;
    struct handover_descriptors descriptors;
    given.holder = 4711;
    given.entry.root = true;
    strcpy(given.working_directory, "/work");
    memcpy(given.environment, ENVIRONMENT, sizeof ENVIRONMENT);
    given.environment_bytes = sizeof ENVIRONMENT;

    int fd = make();
    ok(fd > STDERR_FILENO && !closes_on_exec(fd), "it stays open on exec");
    ok(write(fd, "x", 1) < 0 && ftruncate(fd, 0) != 0, "nobody can change it");
    ok(handover_take(fd, &taken, &descriptors, &err) == 0, "it can be taken");
    ok(taken.holder == 4711 && taken.entry.root && strcmp(taken.working_directory, "/work") == 0 &&
           taken.environment_bytes == sizeof ENVIRONMENT &&
           memcmp(taken.environment, ENVIRONMENT, sizeof ENVIRONMENT) == 0,
       "what is taken is what was given");
    ok(closes_on_exec(descriptors.holder) && closes_on_exec(descriptors.countdown),
       "the program of the rank gets none of the descriptors");
    ok(countdown_is_last(descriptors.countdown), "the count is that of the step");
    ok(fcntl(fd, F_GETFD) < 0, "the file itself is closed");

    fd = make();
    int changed = copy_of(fd, sizeof given);
    must(pwrite(changed, "0.0.0-other", 11, 0) == 11, "pwrite");
    ok(handover_take(changed, &taken, &descriptors, &err) != 0, "that of another release is refused");
    says(err.text, "restart slurmd", "with what to do");
    ok(handover_take(copy_of(fd, 100), &taken, &descriptors, &err) != 0, "one cut short is refused");
    ok(handover_take(open("/dev/null", O_RDONLY), &taken, &descriptors, &err) != 0,
       "an empty file is refused");
    return tap_done();
}
