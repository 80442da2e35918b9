#include "grpc_state.h"
#include "grpc_status.h"
#include "wiped_memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// Far above the plan of any image with an environment that a rank could still be started with.
enum { MESSAGE_MAX = 1 << 20 };

static int fail(struct grpc_call *call) {
    call->failed = true;
    return NGHTTP2_ERR_CALLBACK_FAILURE;
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
    while (call->received_bytes - at >= GRPC_PREFIX_BYTES) {
        const uint8_t *prefix = call->received + at;
        size_t length =
            (size_t)prefix[1] << 24 | (size_t)prefix[2] << 16 | (size_t)prefix[3] << 8 | (size_t)prefix[4];
        if (prefix[0] != 0 || length > MESSAGE_MAX) {
            error_set(call->err, "stowaged sent a message that is compressed or larger than %d bytes",
                      MESSAGE_MAX);
            return fail(call);
        }
        if (call->received_bytes - at < GRPC_PREFIX_BYTES + length)
            break;
        if (call->handler.message(call->handler.context, prefix + GRPC_PREFIX_BYTES, length, call->err) != 0)
            return fail(call);
        at += GRPC_PREFIX_BYTES + length;
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
        grpc_not_stowaged(call->err);
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

int grpc_session_begin(struct grpc_call *call, const char *path) {
    return open_session(call) == 0 ? submit(call, path) : -1;
}

int grpc_session_skip_opening(struct grpc_call *call) {
    const uint8_t *due;
    ssize_t length;
    while ((length = nghttp2_session_mem_send(call->session, &due)) > 0)
        continue;
    return length == 0 ? 0 : -1;
}
