#include "identify.h"
#include "arguments.h"
#include "unpack_program.h"

#include <errno.h>

static int listen_until_end(struct unpack_program *program, struct progress *progress, struct error *err) {
    struct pollfd watched[UNPACK_STREAMS];
    do {
        unpack_program_watch(program, watched);
        if (poll(watched, UNPACK_STREAMS, -1) < 0 && errno != EINTR)
            return error_errno(err, "cannot wait for stowage-unpack");
        if (program->total_bytes > 0)
            progress_bytes(progress, "reading", program->done_bytes, program->total_bytes);
    } while (unpack_program_listen(program, watched));
    return 0;
}

static int run(struct unpack_program *program, int fd, struct progress *progress, struct identity *identity,
               struct error *err) {
    struct arguments arguments = {0};
    arguments_add(&arguments, "stowage-unpack");
    arguments_add(&arguments, "--identify");
    arguments_add(&arguments, "%d", fd);
    arguments_add(&arguments, "--progress-fd");
    arguments_add(&arguments, "%d", program->progress_in);
    int result = arguments_check(&arguments, err);
    if (result == 0)
        result = unpack_program_start(program, arguments.values, &fd, 1, err);
    arguments_release(&arguments);

    bool refused;
    if (result == 0)
        result = listen_until_end(program, progress, err);
    if (result == 0)
        result = unpack_program_wait(program, &refused, err);
    if (result == 0 && program->too_many_records)
        return error_set(err, "the archive has too many members");
    return result == 0 ? identity_parse(identity, program->records, program->records_length, err) : -1;
}

int identify(struct identity *identity, int fd, struct progress *progress, struct error *err) {
    struct unpack_program program;
    int result = unpack_program_open(&program, err);
    if (result == 0)
        result = run(&program, fd, progress, identity, err);
    unpack_program_end(&program);
    return result;
}
