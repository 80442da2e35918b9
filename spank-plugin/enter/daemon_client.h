// The calls that stowage-enter makes to stowaged over its unix socket.
#pragma once

#include "error.h"
#include "grpc_call.h"
#include "login/login.h"

#include <stowage/v1/image.pb-c.h>

enum { DAEMON_WATCHED_MAX = GRPC_WATCHED_MAX };

// What the caller does while a call goes on. Messages are valid only during the call of the function.
struct daemon_listener {
    void *context;
    void (*progress)(void *context, const Stowage__V1__Progress *progress);
    // Fills in the content of a file of the local image, or the problem with it; either is freed with free(3)
    // once it is sent. Never called unless the request has a local image. Fails if there is no memory.
    int (*document)(void *context, const Stowage__V1__DocumentWanted *wanted, Stowage__V1__Document *document,
                    struct error *err);
    // Fills in the user's login, or why there is none; it is released once it is sent.
    void (*login)(void *context, const Stowage__V1__LoginWanted *wanted, struct login *login);
    // A failure ends the call.
    int (*layers)(void *context, const Stowage__V1__Layers *layers, struct error *err);
    // As in struct grpc_handler; may be NULL.
    void (*watch)(void *context, struct pollfd watched[DAEMON_WATCHED_MAX]);
    int (*ready)(void *context, const struct pollfd watched[DAEMON_WATCHED_MAX], struct error *err);
};

// Sends `request` and reads the stream until the plan is there. On success *plan is owned by the caller, who
// releases it with stowage__v1__container_plan__free_unpacked(). Fails with the daemon's own sentence if it
// refused, with the listener's, or with what is wrong with the connection: nobody listens, silence for 30 s,
// more than two hours in all, another protocol.
int daemon_prepare(const char *socket_path, const Stowage__V1__PrepareRequest *request,
                   const struct daemon_listener *listener, Stowage__V1__ContainerPlan **plan,
                   struct error *err);

// Tells stowaged what came of a plan. Waits a second at most for the answer; nothing depends on it.
int daemon_report_unpacked(const char *socket_path, const Stowage__V1__ReportUnpackedRequest *report,
                           struct error *err);

// Asks what settings files mean. On success *response is owned by the caller, who releases it with
// stowage__v1__read_settings_response__free_unpacked(). Fails with the daemon's own sentence if a file cannot
// be used, or with what is wrong with the connection.
int daemon_read_settings(const char *socket_path, const Stowage__V1__ReadSettingsRequest *request,
                         Stowage__V1__ReadSettingsResponse **response, struct error *err);
