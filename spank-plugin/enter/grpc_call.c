#include "grpc_call.h"
#include "cleanup.h"
#include "grpc_status.h"
#include "protocol.h"
#include "unix_socket.h"
#include "wiped_memory.h"

#include <errno.h>
#include <inttypes.h>
#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum {
    // Far above the plan of any image with an environment that a rank could still be started with.
    MESSAGE_MAX = 1 << 20,
    // gRPC's frame: one byte that says "not compressed", four bytes of length.
    PREFIX_BYTES = 5,
};

struct grpc_call {
    nghttp2_session *session;
    int fd;
    int32_t stream;
    int silence_ms;
    int64_t total_ms;
    struct grpc_handler handler;
    // Framed messages that nghttp2 has not taken yet, and whether more may follow.
    uint8_t *requests;
    size_t requests_bytes;
    size_t requests_sent;
    bool may_send;
    uint8_t *unsent;
    size_t unsent_bytes;
    uint8_t *received;
    size_t received_bytes;
    // The server has ended its side of the call; both have.
    bool ended;
    bool closed;
    // Whether there is an answer, and whether it is one in gRPC.
    bool answered;
    bool grpc;
    int status;
    char message[ERROR_TEXT_MAX];
    // Set by the callbacks, which cannot fail in words themselves.
    struct error *err;
    bool failed;
};

static int fail(struct grpc_call *call) {
    call->failed = true;
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int not_stowaged(struct error *err) {
    return error_set(err,
                     "what listens on stowaged's socket is not stowaged; the administrators must see to it");
}

// Collects what nghttp2 wants to send, unless there is something left of last time: nghttp2 itself sees to it
// that a peer that only asks and never reads cannot make it hold more and more answers.
static int collect_due(struct grpc_call *call) {
    if (call->unsent_bytes > 0)
        return 0;
    const uint8_t *due;
    ssize_t length;
    while ((length = nghttp2_session_mem_send(call->session, &due)) > 0) {
        uint8_t *grown = wiped_realloc(call->unsent, call->unsent_bytes + (size_t)length);
        if (!grown)
            return error_errno(call->err, "cannot hold the request to stowaged");
        memcpy(grown + call->unsent_bytes, due, (size_t)length);
        call->unsent = grown;
        call->unsent_bytes += (size_t)length;
    }
    if (length < 0)
        return error_set(call->err, "the connection to stowaged broke: %s", nghttp2_strerror((int)length));
    return 0;
}

// Sends all that is due with one system call if it can: each would wake stowaged once more.
static int send_due(struct grpc_call *call) {
    if (collect_due(call) != 0)
        return -1;
    if (call->unsent_bytes == 0)
        return 0;
    ssize_t sent = send(call->fd, call->unsent, call->unsent_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR
                   ? 0
                   : error_set(call->err, "lost the connection to stowaged (%s); try again", strerror(errno));
    call->unsent_bytes -= (size_t)sent;
    memmove(call->unsent, call->unsent + sent, call->unsent_bytes);
    explicit_bzero(call->unsent + call->unsent_bytes, (size_t)sent);
    return 0;
}

// Hands over what has arrived, once: nghttp2_session_recv() would go on for as long as bytes come, and the
// deadline would never be looked at.
static int receive(struct grpc_call *call) {
    uint8_t buffer[16 * 1024];
    ssize_t got = recv(call->fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got < 0)
        return error_set(call->err, "lost the connection to stowaged (%s); try again", strerror(errno));
    if (got == 0)
        return error_set(call->err, "stowaged ended while it prepared the image; try again");
    ssize_t taken = nghttp2_session_mem_recv(call->session, buffer, (size_t)got);
    if (taken < 0 && !call->failed)
        return error_set(call->err, "the connection to stowaged broke: %s", nghttp2_strerror((int)taken));
    return call->failed ? -1 : 0;
}

// The request stays open for as long as there may be something to add: nghttp2 is told to wait, and resumed
// when there is, or when nothing more will follow.
static ssize_t on_read_request(nghttp2_session *session, int32_t stream, uint8_t *buffer, size_t length,
                               uint32_t *flags, nghttp2_data_source *source, void *context) {
    (void)session;
    (void)stream;
    (void)context;
    struct grpc_call *call = source->ptr;
    size_t rest = call->requests_bytes - call->requests_sent;
    if (rest == 0 && call->may_send)
        return NGHTTP2_ERR_DEFERRED;
    if (length > rest)
        length = rest;
    memcpy(buffer, call->requests + call->requests_sent, length);
    explicit_bzero(call->requests + call->requests_sent, length);
    call->requests_sent += length;
    if (length == rest)
        call->requests_sent = call->requests_bytes = 0;
    if (length == rest && !call->may_send)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)length;
}

// Takes whole messages off the front of what was received.
static int handle_messages(struct grpc_call *call) {
    size_t at = 0;
    while (call->received_bytes - at >= PREFIX_BYTES) {
        const uint8_t *prefix = call->received + at;
        size_t length =
            (size_t)prefix[1] << 24 | (size_t)prefix[2] << 16 | (size_t)prefix[3] << 8 | (size_t)prefix[4];
        if (prefix[0] != 0 || length > MESSAGE_MAX) {
            error_set(call->err, "stowaged sent a message that is compressed or larger than %d bytes",
                      MESSAGE_MAX);
            return fail(call);
        }
        if (call->received_bytes - at < PREFIX_BYTES + length)
            break;
        if (call->handler.message(call->handler.context, prefix + PREFIX_BYTES, length, call->err) != 0)
            return fail(call);
        at += PREFIX_BYTES + length;
    }
    memmove(call->received, call->received + at, call->received_bytes - at);
    call->received_bytes -= at;
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t length, void *context) {
    (void)session;
    (void)flags;
    struct grpc_call *call = context;
    if (stream != call->stream)
        return 0;
    if (!call->grpc) {
        not_stowaged(call->err);
        return fail(call);
    }
    // handle_messages() leaves less than one message behind, so this stays bounded.
    uint8_t *grown = realloc(call->received, call->received_bytes + length);
    if (!grown) {
        error_errno(call->err, "cannot hold the answer of stowaged");
        return fail(call);
    }
    memcpy(grown + call->received_bytes, data, length);
    call->received = grown;
    call->received_bytes += length;
    return handle_messages(call);
}

static bool header_is(const char *wanted, const uint8_t *name, size_t length) {
    return strlen(wanted) == length && memcmp(wanted, name, length) == 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
                     void *context) {
    static const char GRPC[] = "application/grpc";
    (void)session;
    (void)flags;
    struct grpc_call *call = context;
    if (frame->hd.stream_id != call->stream)
        return 0;
    // nghttp2 ends names and values with a NUL.
    call->answered = true;
    if (header_is("content-type", name, name_length))
        call->grpc = strncmp((const char *)value, GRPC, strlen(GRPC)) == 0;
    else if (header_is("grpc-status", name, name_length))
        call->status = grpc_parse_status((const char *)value);
    else if (header_is("grpc-message", name, name_length))
        grpc_decode_message(call->message, sizeof call->message, value, value_length);
    return 0;
}

// The server may end its side, as with a failure, while the request is still open: all is said then.
static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
    (void)session;
    struct grpc_call *call = context;
    bool last = (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
                (frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
    call->ended = call->ended || (last && frame->hd.stream_id == call->stream);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t code, void *context) {
    (void)session;
    (void)code;
    struct grpc_call *call = context;
    call->closed = call->closed || stream == call->stream;
    return 0;
}

static void *session_malloc(size_t size, void *context) {
    (void)context;
    return malloc(size);
}

static void *session_calloc(size_t count, size_t size, void *context) {
    (void)context;
    return calloc(count, size);
}

static void *session_realloc(void *memory, size_t size, void *context) {
    (void)context;
    return wiped_realloc(memory, size);
}

static void session_free(void *memory, void *context) {
    (void)context;
    wiped_free(memory);
}

static int open_session(struct grpc_call *call) {
    // nghttp2 copies what it sends.
    nghttp2_mem memory = {
        .malloc = session_malloc, .free = session_free, .calloc = session_calloc, .realloc = session_realloc};
    nghttp2_session_callbacks *callbacks;
    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        return -1;
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    int result = nghttp2_session_client_new3(&call->session, callbacks, call, NULL, &memory);
    nghttp2_session_callbacks_del(callbacks);
    return result;
}

static nghttp2_nv header(const char *name, const char *value) {
    return (nghttp2_nv){.name = (uint8_t *)name,
                        .value = (uint8_t *)value,
                        .namelen = strlen(name),
                        .valuelen = strlen(value)};
}

static int submit(struct grpc_call *call, const char *path) {
    char timeout[32];
    snprintf(timeout, sizeof timeout, "%" PRId64 "m", call->total_ms);
    const nghttp2_nv headers[] = {
        header(":method", "POST"),       header(":scheme", "http"),
        header(":path", path),           header(":authority", "localhost"),
        header("te", "trailers"),        header("content-type", "application/grpc+proto"),
        header("grpc-timeout", timeout), header("user-agent", "stowage-enter/" SOFTWARE_VERSION),
    };
    nghttp2_data_provider body = {.source.ptr = call, .read_callback = on_read_request};
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
    if (nghttp2_submit_settings(call->session, NGHTTP2_FLAG_NONE, settings, 1) != 0)
        return -1;
    call->stream =
        nghttp2_submit_request(call->session, NULL, headers, sizeof headers / sizeof *headers, &body, NULL);
    return call->stream < 0 ? -1 : 0;
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
    while (!call->closed) {
        if (send_due(call) != 0)
            return -1;
        // What was sent may have been the end of the call, by us. If the server has ended it, what is left to
        // send is for nobody.
        if (call->closed || call->ended)
            break;
        // nghttp2 has given up on what it heard, and has said goodbye.
        if (!nghttp2_session_want_read(call->session) && !nghttp2_session_want_write(call->session))
            return not_stowaged(call->err);
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
        if (receive(call) != 0)
            return -1;
    }
    return 0;
}

static int verdict(struct grpc_call *call) {
    if (call->status == GRPC_STATUS_UNIMPLEMENTED)
        return error_set(call->err,
                         "what listens on stowaged's socket does not speak protocol %d of stowage-enter "
                         "%s; the administrators must install the same release of both",
                         PROTOCOL_VERSION, SOFTWARE_VERSION);
    if (call->answered && !call->grpc)
        return not_stowaged(call->err);
    if (call->status == GRPC_STATUS_UNKNOWN)
        return error_set(call->err, "stowaged ended the call without a status; try again");
    if (call->status != GRPC_STATUS_OK)
        return error_set(call->err, "%s",
                         call->message[0] ? call->message : "stowaged failed without a reason");
    return 0;
}

struct grpc_call *grpc_open(const char *socket_path, const char *path, int silence_ms, int64_t total_ms,
                            const struct grpc_handler *handler, struct error *err) {
    cleanup_close int fd = unix_connect(socket_path, err);
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
    if (open_session(call) != 0 || submit(call, path) != 0) {
        error_set(err, "cannot start a call to stowaged");
        grpc_close(call);
        return NULL;
    }
    return call;
}

int grpc_send(struct grpc_call *call, const ProtobufCMessage *message, struct error *err) {
    size_t length = protobuf_c_message_get_packed_size(message);
    uint8_t *grown = wiped_realloc(call->requests, call->requests_bytes + PREFIX_BYTES + length);
    if (!grown)
        return error_errno(err, "cannot hold the request to stowaged");
    const uint8_t prefix[PREFIX_BYTES] = {0, (uint8_t)(length >> 24), (uint8_t)(length >> 16),
                                          (uint8_t)(length >> 8), (uint8_t)length};
    memcpy(grown + call->requests_bytes, prefix, PREFIX_BYTES);
    protobuf_c_message_pack(message, grown + call->requests_bytes + PREFIX_BYTES);
    call->requests = grown;
    call->requests_bytes += PREFIX_BYTES + length;
    nghttp2_session_resume_data(call->session, call->stream);
    return 0;
}

void grpc_send_end(struct grpc_call *call) {
    if (call->may_send)
        nghttp2_session_resume_data(call->session, call->stream);
    call->may_send = false;
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
