// One gRPC call to stowaged over its unix socket: HTTP/2, the framing of messages, deadlines and the status
// at the end (https://grpc.github.io/grpc/core/md_doc__p_r_o_t_o_c_o_l-_h_t_t_p2.html). What the messages
// mean is up to the caller, daemon_client.c. All that was sent is wiped from memory: a login may be in it.
#pragma once

#include "error.h"

#include <poll.h>
#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

enum { GRPC_WATCHED_MAX = 4 };

struct grpc_handler {
    void *context;
    // One message of the server. A failure ends the call.
    int (*message)(void *context, const uint8_t *bytes, size_t length, struct error *err);
    // Further descriptors to wait for, and what to do when one of them, or the server, has something to say.
    // -1 for those that are not used. A failure ends the call. Both may be NULL.
    void (*watch)(void *context, struct pollfd watched[GRPC_WATCHED_MAX]);
    int (*ready)(void *context, const struct pollfd watched[GRPC_WATCHED_MAX], struct error *err);
};

struct grpc_call;

// Begins a call of `path`, "/package.Service/Method", which may take total_ms in all and silence_ms between
// two signs of life. Nothing is sent before grpc_run(). NULL on failure.
struct grpc_call *grpc_open(const char *socket_path, const char *path, int silence_ms, int64_t total_ms,
                            const struct grpc_handler *handler, struct error *err);

// The next grpc_open() of EARLY_CALL_PATH goes on with the call that early_call_begin() has begun on this
// connection just now, if nobody has hung up yet and it has not become too old.
void grpc_use_early_call(int fd);

// Adds a message to what is to be sent.
int grpc_send(struct grpc_call *call, const ProtobufCMessage *message, struct error *err);

// No further message follows. Idempotent.
void grpc_send_end(struct grpc_call *call);

// For the handler: nothing more is wanted, and grpc_run() succeeds without the server's status.
void grpc_stop(struct grpc_call *call);

// Sends and listens until the server has ended the call with OK. Fails with the server's own sentence if it
// refused, with the handler's, or with what is wrong with the connection.
int grpc_run(struct grpc_call *call, struct error *err);

// NULL is none.
void grpc_close(struct grpc_call *call);
