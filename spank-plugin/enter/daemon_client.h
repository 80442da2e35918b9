// One gRPC call, Prepare, to stowaged over its unix socket.
#pragma once

#include "error.h"

#include <stdint.h>
#include <stowage/v1/image.pb-c.h>

// Called for each progress event; the event is valid only during the call.
typedef void (*daemon_progress)(void *context, const Stowage__V1__Progress *progress);

// Sends `request` and reads the stream to its end. On success *plan is owned by the caller, who releases it
// with stowage__v1__container_plan__free_unpacked(). Fails with the daemon's own sentence if it refused, or
// with what is wrong with the connection: nobody listens, silence for 30 s, more than two hours in all,
// another protocol.
int daemon_prepare(const char *socket_path, const Stowage__V1__PrepareRequest *request,
                   daemon_progress on_progress, void *progress_context, Stowage__V1__ContainerPlan **plan,
                   struct error *err);
