#include "grpc_call.h"
#include "cleanup.h"
#include "early_call.h"
#include "grpc_state.h"
#include "grpc_status.h"
#include "protocol.h"
#include "unix_socket.h"
#include "wiped_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

int grpc_not_stowaged(struct error *err) {
    return error_set(err,
                     "what listens on stowaged's socket is not stowaged; the administrators must see to it");
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// Waits for stowaged until `silence_ends`, and for what the handler waits for. Sets *heard if stowaged said
// something.
static int wait_for_events(struct grpc_call *call, int64_t silence_ends, bool *heard) {
    const struct grpc_handler *handler = &call->handler;
    struct pollfd watched[GRPC_WATCHED_MAX + 1];
    int64_t left = silence_ends - now_ms();
    for (int i = 0; i < GRPC_WATCHED_MAX; i++)
        watched[i] = (struct pollfd){.fd = -1};
    if (handler->watch)
        handler->watch(handler->context, watched);
    watched[GRPC_WATCHED_MAX] =
        (struct pollfd){.fd = call->fd, .events = call->unsent_bytes > 0 ? POLLIN | POLLOUT : POLLIN};
    if (poll(watched, GRPC_WATCHED_MAX + 1, left > 0 ? (int)left : 0) < 0) {
        if (errno != EINTR)
            return error_errno(call->err, "cannot wait for stowaged");
        return 0;
    }
    *heard = watched[GRPC_WATCHED_MAX].revents != 0;
    return handler->ready ? handler->ready(handler->context, watched, call->err) : 0;
}

static int run_call(struct grpc_call *call) {
    int64_t deadline = now_ms() + call->total_ms;
    int64_t silence_ends = now_ms() + call->silence_ms;
    while (!call->closed && !call->stopped) {
        if (grpc_socket_send(call) != 0)
            return -1;
        // What was sent may have been the end of the call, by us. If the server has ended it, what is left to
        // send is for nobody.
        if (call->closed || call->ended)
            break;
        // nghttp2 has given up on what it heard, and has said goodbye.
        if (!nghttp2_session_want_read(call->session) && !nghttp2_session_want_write(call->session))
            return grpc_not_stowaged(call->err);
        bool heard = false;
        if (wait_for_events(call, silence_ends, &heard) != 0)
            return -1;
        if (heard)
            silence_ends = now_ms() + call->silence_ms;
        else if (now_ms() >= silence_ends)
            return error_set(
                call->err,
                "stowaged has not answered for %d seconds; try again, and tell the administrators "
                "if it stays so",
                call->silence_ms / 1000);
        if (now_ms() > deadline)
            return error_set(call->err, "stowaged is not done after %" PRId64 " minutes; try again",
                             call->total_ms / 60000);
        if (grpc_socket_receive(call) != 0)
            return -1;
    }
    return 0;
}

static int verdict(struct grpc_call *call) {
    if (call->stopped)
        return 0;
    if (call->status == GRPC_STATUS_UNIMPLEMENTED)
        return error_set(call->err,
                         "what listens on stowaged's socket does not speak protocol %d of stowage-enter "
                         "%s; the administrators must install the same release of both",
                         PROTOCOL_VERSION, SOFTWARE_VERSION);
    if (call->answered && !call->grpc)
        return grpc_not_stowaged(call->err);
    if (call->status == GRPC_STATUS_UNKNOWN)
        return error_set(call->err, "stowaged ended the call without a status; try again");
    if (call->status != GRPC_STATUS_OK)
        return error_set(call->err, "%s",
                         call->message[0] ? call->message : "stowaged failed without a reason");
    return 0;
}

// Begun by the plugin while this program was being started.
static int early_call = -1;
static int64_t early_call_ms;

void grpc_use_early_call(int fd) {
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    early_call = fd;
    early_call_ms = now_ms();
}

// stowaged hangs up where nothing is asked, and when it ends.
static bool is_open(int fd) {
    struct pollfd hung_up = {.fd = fd, .events = POLLRDHUP};
    return poll(&hung_up, 1, 0) == 0;
}

// -1 if there is none, or none that is of use any more.
static int take_early_call(const char *path) {
    if (early_call < 0 || strcmp(path, EARLY_CALL_PATH) != 0)
        return -1;
    cleanup_close int fd = steal_fd(&early_call);
    return now_ms() - early_call_ms < EARLY_CALL_FRESH_MS && is_open(fd) ? steal_fd(&fd) : -1;
}

struct grpc_call *grpc_open(const char *socket_path, const char *path, int silence_ms, int64_t total_ms,
                            const struct grpc_handler *handler, struct error *err) {
    cleanup_close int fd = take_early_call(path);
    bool begun = fd >= 0;
    if (!begun)
        fd = unix_connect(socket_path, err);
    if (fd < 0)
        return NULL;
    struct grpc_call *call = malloc(sizeof *call);
    if (!call) {
        error_errno(err, "cannot start a call to stowaged");
        return NULL;
    }
    *call = (struct grpc_call){.fd = steal_fd(&fd),
                               .silence_ms = silence_ms,
                               .total_ms = total_ms,
                               .handler = *handler,
                               .may_send = true,
                               .status = GRPC_STATUS_UNKNOWN};
    if (grpc_session_begin(call, path) != 0 || (begun && grpc_session_skip_opening(call) != 0)) {
        error_set(err, "cannot start a call to stowaged");
        grpc_close(call);
        return NULL;
    }
    return call;
}

int grpc_send(struct grpc_call *call, const ProtobufCMessage *message, struct error *err) {
    size_t length = protobuf_c_message_get_packed_size(message);
    uint8_t *grown = wiped_realloc(call->requests, call->requests_bytes + GRPC_PREFIX_BYTES + length);
    if (!grown)
        return error_errno(err, "cannot hold the request to stowaged");
    const uint8_t prefix[GRPC_PREFIX_BYTES] = {0, (uint8_t)(length >> 24), (uint8_t)(length >> 16),
                                               (uint8_t)(length >> 8), (uint8_t)length};
    memcpy(grown + call->requests_bytes, prefix, GRPC_PREFIX_BYTES);
    protobuf_c_message_pack(message, grown + call->requests_bytes + GRPC_PREFIX_BYTES);
    call->requests = grown;
    call->requests_bytes += GRPC_PREFIX_BYTES + length;
    nghttp2_session_resume_data(call->session, call->stream);
    return 0;
}

void grpc_send_end(struct grpc_call *call) {
    if (call->may_send)
        nghttp2_session_resume_data(call->session, call->stream);
    call->may_send = false;
}

void grpc_stop(struct grpc_call *call) {
    call->stopped = true;
}

int grpc_run(struct grpc_call *call, struct error *err) {
    call->err = err;
    return run_call(call) == 0 ? verdict(call) : -1;
}

void grpc_close(struct grpc_call *call) {
    if (!call)
        return;
    nghttp2_session_del(call->session);
    close(call->fd);
    wiped_free(call->requests);
    wiped_free(call->unsent);
    free(call->received);
    free(call);
}
