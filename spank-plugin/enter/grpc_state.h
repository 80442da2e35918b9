// What the parts of a gRPC call share: grpc_call.c runs it, grpc_session.c speaks HTTP/2, grpc_socket.c sends
// and receives bytes.
#pragma once

#include "grpc_call.h"

#include <nghttp2/nghttp2.h>
#include <stdbool.h>

// gRPC's frame: one byte that says "not compressed", four bytes of length.
enum { GRPC_PREFIX_BYTES = 5 };

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
    // The handler has heard enough.
    bool stopped;
    // Whether there is an answer, and whether it is one in gRPC.
    bool answered;
    bool grpc;
    int status;
    char message[ERROR_TEXT_MAX];
    // Set by the callbacks, which cannot fail in words themselves.
    struct error *err;
    bool failed;
};

// What to say of a server that is none of gRPC. Returns -1.
int grpc_not_stowaged(struct error *err);

// Begins a session on call->fd and submits the call of `path`; nothing is sent yet. Its callbacks hand
// messages over and set what call->answered and its neighbours say. Returns -1 without a sentence.
int grpc_session_begin(struct grpc_call *call, const char *path);

// Leaves out what precedes the first message: it has been sent. Returns -1 without a sentence.
int grpc_session_skip_opening(struct grpc_call *call);

// Send what is due, and take what has come, as far as that can be done at once.
int grpc_socket_send(struct grpc_call *call);
int grpc_socket_receive(struct grpc_call *call);
