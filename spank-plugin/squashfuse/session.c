#include "session.h"
#include "requests.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    // The kernel wants room for its largest request, and none of those it makes here is larger than this.
    REQUEST_MAX = 16 << 10,
    WRITE_MAX = 4096,
    READ_PAGES_MAX = ANSWER_MAX / 4096,
    // Reading ahead for all ranks together.
    BACKGROUND_MAX = 64,
    STACK_BYTES = 256 << 10,
};

struct server {
    int device;
    struct worker worker;
};

struct session {
    unsigned threads;
    struct server servers[];
};

// One request, and its arguments. Returns their size, or -1 with errno; ENODEV when all is over.
static ssize_t receive(int device, struct fuse_in_header *header, uint8_t *arguments) {
    for (;;) {
        struct iovec parts[] = {{header, sizeof *header}, {arguments, REQUEST_MAX}};
        ssize_t got = readv(device, parts, 2);
        if (got >= (ssize_t)sizeof *header)
            return got - (ssize_t)sizeof *header;
        // ENOENT: the request was taken back.
        if (got < 0 && errno != EINTR && errno != ENOENT && errno != EAGAIN)
            return -1;
    }
}

static void reply(int device, uint64_t unique, ssize_t result, const void *answer) {
    const size_t size = result > 0 ? (size_t)result : 0;
    const struct fuse_out_header header = {
        .len = (uint32_t)(sizeof header + size), .error = result < 0 ? (int32_t)result : 0, .unique = unique};
    const struct iovec parts[] = {{(void *)&header, sizeof header}, {(void *)answer, size}};
    // It fails if whoever asked was killed meanwhile.
    while (writev(device, parts, size > 0 ? 2 : 1) < 0 && errno == EINTR)
        ;
}

int session_begin(int device, struct error *err) {
    static const uint32_t wanted = FUSE_ASYNC_READ | FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO |
                                   FUSE_PARALLEL_DIROPS | FUSE_NO_OPEN_SUPPORT | FUSE_NO_OPENDIR_SUPPORT |
                                   FUSE_CACHE_SYMLINKS | FUSE_MAX_PAGES;
    struct fuse_in_header header;
    _Alignas(uint64_t) uint8_t arguments[REQUEST_MAX];
    ssize_t size = receive(device, &header, arguments);
    if (size < 0)
        return error_errno(err, "the kernel does not speak on /dev/fuse");
    const struct fuse_init_in *theirs = (const struct fuse_init_in *)arguments;
    if (header.opcode != FUSE_INIT || size < (ssize_t)offsetof(struct fuse_init_in, flags2) ||
        theirs->major != FUSE_KERNEL_VERSION)
        return error_set(err, "this kernel speaks another FUSE than Stowage; it takes Linux 5.11 or later");
    const struct fuse_init_out ours = {
        .major = FUSE_KERNEL_VERSION,
        .minor = theirs->minor < FUSE_KERNEL_MINOR_VERSION ? theirs->minor : FUSE_KERNEL_MINOR_VERSION,
        .max_readahead = theirs->max_readahead,
        .flags = theirs->flags & wanted,
        .max_background = BACKGROUND_MAX,
        .congestion_threshold = BACKGROUND_MAX,
        .max_write = WRITE_MAX,
        .time_gran = 1000000000,
        .max_pages = READ_PAGES_MAX,
    };
    reply(device, header.unique, sizeof ours, &ours);
    return 0;
}

static _Noreturn void serve(struct server *server) {
    const int device = server->device;
    struct worker *worker = &server->worker;
    struct fuse_in_header header;
    _Alignas(uint64_t) uint8_t arguments[REQUEST_MAX];
    for (;;) {
        ssize_t size = receive(device, &header, arguments);
        if (size < 0)
            _exit(errno == ENODEV ? 0 : 1);
        ssize_t result = answer_request(worker, header.opcode, header.nodeid, arguments, (size_t)size);
        if (result != NO_ANSWER)
            reply(device, header.unique, result, worker->answer);
    }
}

struct session *session_prepare(int device, const struct image *image, unsigned threads, struct error *err) {
    struct session *session = calloc(1, sizeof *session + threads * sizeof *session->servers);
    bool enough = session != NULL;
    for (unsigned i = 0; enough && i < threads; i++) {
        struct worker *worker = &session->servers[i].worker;
        session->servers[i].device = device;
        worker->answer = malloc(ANSWER_MAX);
        enough = worker->answer != NULL;
        if (enough && reader_open(&worker->reader, image, err) != 0)
            return NULL;
    }
    if (!enough) {
        error_errno(err, "there is not enough memory to serve the squashfs image");
        return NULL;
    }
    session->threads = threads;
    return session;
}

static void *run_thread(void *context) {
    serve(context);
}

void session_run(struct session *session) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    for (unsigned i = 1; i < session->threads; i++) {
        pthread_t thread;
        // Fewer threads serve as well, only slower.
        if (pthread_create(&thread, &attributes, run_thread, &session->servers[i]) != 0)
            break;
    }
    serve(&session->servers[0]);
}
