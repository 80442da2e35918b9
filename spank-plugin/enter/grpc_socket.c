#include "grpc_state.h"
#include "wiped_memory.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

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
int grpc_socket_send(struct grpc_call *call) {
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
int grpc_socket_receive(struct grpc_call *call) {
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
