#include "early_call.h"
#include "cleanup.h"
#include "enter/grpc_state.h"
#include "enter/protocol.h"
#include "scratch.h"
#include "tap.h"

#include <sys/socket.h>
#include <sys/un.h>

// What a server understands, as text: the name and the value of each header, and the frames.
struct heard {
    char text[2048];
};

static void note(struct heard *heard, const char *format, ...) {
    va_list args;
    size_t used = strlen(heard->text);
    va_start(args, format);
    vsnprintf(heard->text + used, sizeof heard->text - used, format, args);
    va_end(args);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
                     void *context) {
    (void)session;
    (void)frame;
    (void)name_length;
    (void)value_length;
    (void)flags;
    note(context, "%s: %s\n", name, value);
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
    (void)session;
    note(context, "frame %d of stream %d, flags %d\n", frame->hd.type, frame->hd.stream_id, frame->hd.flags);
    for (size_t i = 0; frame->hd.type == NGHTTP2_SETTINGS && i < frame->settings.niv; i++)
        note(context, "setting %d: %u\n", frame->settings.iv[i].settings_id, frame->settings.iv[i].value);
    return 0;
}

// What comes from `fd`, read by a server.
static void hear(int fd, struct heard *heard) {
    uint8_t bytes[2048];
    nghttp2_session *session;
    nghttp2_session_callbacks *callbacks;
    ssize_t length = read(fd, bytes, sizeof bytes);
    must(length > 0 && nghttp2_session_callbacks_new(&callbacks) == 0, "read");
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    must(nghttp2_session_server_new(&session, callbacks, heard) == 0, "nghttp2");
    heard->text[0] = '\0';
    if (nghttp2_session_mem_recv(session, bytes, (size_t)length) != length)
        note(heard, "an error\n");
    nghttp2_session_del(session);
    nghttp2_session_callbacks_del(callbacks);
}

static void replace(char *text, const char *old, const char *with) {
    char *at = strstr(text, old);
    must(at && strlen(old) == strlen(with), old);
    memcpy(at, with, strlen(with));
}

int main(void) {
    char directory[PATH_MAX];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    become_ordinary();
    cleanup_close int scratch = scratch_make(directory);
    int length = snprintf(address.sun_path, sizeof address.sun_path, "%s/s", directory);
    must(length < (int)sizeof address.sun_path, "the directory's name is too long");
    ok(early_call_begin(address.sun_path) < 0, "begins no call where nobody listens");
    cleanup_close int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 4) == 0,
         "listen");

    cleanup_close int begun = early_call_begin(address.sun_path);
    ok(begun >= 0, "begins a call");
    cleanup_close int accepted = accept(listener, NULL, NULL);
    struct heard early, usual;
    hear(accepted, &early);

    struct error err;
    int ends[2];
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
    struct grpc_call *call = malloc(sizeof *call);
    must(call != NULL, "malloc");
    *call = (struct grpc_call){.fd = ends[0], .total_ms = EARLY_CALL_TOTAL_MS, .may_send = true, .err = &err};
    must(grpc_session_begin(call, EARLY_CALL_PATH) == 0 && grpc_socket_send(call) == 0, "grpc");
    hear(ends[1], &usual);
    replace(usual.text, "stowage-enter/", "spank_stowage/");
    is_text(early.text, usual.text, "sends what stowage-enter would send, in its own name");

    grpc_close(call);
    close(ends[1]);
    char too_long[200];
    memset(too_long, 'x', sizeof too_long - 1);
    too_long[sizeof too_long - 1] = '\0';
    ok(early_call_begin(too_long) < 0, "begins no call on a path that is too long for a socket");
    unlinkat(scratch, "s", 0);
    rmdir(directory);
    return tap_done();
}
