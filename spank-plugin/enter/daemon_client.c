#include "daemon_client.h"
#include "early_call.h"
#include "protocol.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    SILENCE_MS = 30 * 1000,
    REPORT_MS = 1000,
    // As image.proto says.
    LOGINS_MAX = 8,
};

struct prepare_call {
    struct grpc_call *grpc;
    const struct daemon_listener *listener;
    bool has_documents;
    unsigned logins;
    bool welcomed;
    Stowage__V1__ContainerPlan *plan;
};

static int answer_document(struct prepare_call *call, const Stowage__V1__DocumentWanted *wanted,
                           struct error *err) {
    const struct daemon_listener *listener = call->listener;
    Stowage__V1__Document document = STOWAGE__V1__DOCUMENT__INIT;
    document.name = wanted->name;
    char *const no_problem = document.problem;
    if (!call->has_documents)
        return error_set(err, "stowaged asked for '%s', a file of an image that has none", wanted->name);
    if (listener->document(listener->context, wanted, &document, err) != 0)
        return -1;
    Stowage__V1__PrepareRequest request = STOWAGE__V1__PREPARE_REQUEST__INIT;
    request.document = &document;
    int result = grpc_send(call->grpc, &request.base, err);
    free(document.content.data);
    if (document.problem != no_problem)
        free(document.problem);
    return result;
}

static int answer_login(struct prepare_call *call, const Stowage__V1__LoginWanted *wanted,
                        struct error *err) {
    if (++call->logins > LOGINS_MAX)
        return error_set(err, "stowaged asked for logins to more than %d registries", LOGINS_MAX);
    struct login login = {0};
    call->listener->login(call->listener->context, wanted, &login);
    Stowage__V1__Login message = STOWAGE__V1__LOGIN__INIT;
    message.registry = wanted->registry;
    message.source = login.source;
    message.problem = login.problem.text;
    if (login.username)
        message.username = login.username;
    message.password = (ProtobufCBinaryData){login.password_bytes, (uint8_t *)login.password};
    message.identity_token = (ProtobufCBinaryData){login.identity_token ? strlen(login.identity_token) : 0,
                                                   (uint8_t *)login.identity_token};
    Stowage__V1__PrepareRequest request = STOWAGE__V1__PREPARE_REQUEST__INIT;
    request.login = &message;
    int result = grpc_send(call->grpc, &request.base, err);
    login_release(&login);
    return result;
}

// The plan is all that the call is for: nobody waits until stowaged has ended it.
static void take_plan(struct prepare_call *call, Stowage__V1__PrepareResponse *response) {
    if (call->plan)
        stowage__v1__container_plan__free_unpacked(call->plan, NULL);
    call->plan = response->plan;
    response->plan = NULL;
    response->event_case = STOWAGE__V1__PREPARE_RESPONSE__EVENT__NOT_SET;
    grpc_stop(call->grpc);
}

static int take_welcome(struct prepare_call *call, const Stowage__V1__Version *welcome, struct error *err) {
    call->welcomed = true;
    if (welcome->protocol == PROTOCOL_VERSION)
        return 0;
    return error_set(err,
                     "stowage-enter %s speaks protocol %d and %s speaks protocol %u; the administrators must "
                     "install the same release of both",
                     SOFTWARE_VERSION, PROTOCOL_VERSION, welcome->software, welcome->protocol);
}

static int on_event(void *context, const uint8_t *bytes, size_t length, struct error *err) {
    struct prepare_call *call = context;
    Stowage__V1__PrepareResponse *response = stowage__v1__prepare_response__unpack(NULL, length, bytes);
    if (!response)
        return error_set(err, "stowaged sent something that is not a PrepareResponse");
    const struct daemon_listener *listener = call->listener;
    int result = response->welcome ? take_welcome(call, response->welcome, err) : 0;
    switch (result == 0 ? response->event_case : STOWAGE__V1__PREPARE_RESPONSE__EVENT__NOT_SET) {
    case STOWAGE__V1__PREPARE_RESPONSE__EVENT_PROGRESS:
        listener->progress(listener->context, response->progress);
        break;
    case STOWAGE__V1__PREPARE_RESPONSE__EVENT_DOCUMENT_WANTED:
        result = answer_document(call, response->document_wanted, err);
        break;
    case STOWAGE__V1__PREPARE_RESPONSE__EVENT_LOGIN_WANTED:
        result = answer_login(call, response->login_wanted, err);
        break;
    case STOWAGE__V1__PREPARE_RESPONSE__EVENT_LAYERS:
        result = listener->layers(listener->context, response->layers, err);
        break;
    case STOWAGE__V1__PREPARE_RESPONSE__EVENT_PLAN:
        take_plan(call, response);
        break;
    default:
        // An event of a later release; what matters here is the plan.
        break;
    }
    stowage__v1__prepare_response__free_unpacked(response, NULL);
    return result;
}

static void watch(void *context, struct pollfd watched[GRPC_WATCHED_MAX]) {
    const struct daemon_listener *listener = ((struct prepare_call *)context)->listener;
    if (listener->watch)
        listener->watch(listener->context, watched);
}

static int ready(void *context, const struct pollfd watched[GRPC_WATCHED_MAX], struct error *err) {
    const struct daemon_listener *listener = ((struct prepare_call *)context)->listener;
    return listener->ready ? listener->ready(listener->context, watched, err) : 0;
}

static int verdict(const struct prepare_call *call, struct error *err) {
    if (!call->welcomed)
        return error_set(err,
                         "stowaged did not say which protocol it speaks; the administrators must install "
                         "the same release of stowaged and stowage-enter");
    if (!call->plan)
        return error_set(err, "stowaged answered without a plan");
    return 0;
}

// Only such an image has documents.
static bool has_documents(const Stowage__V1__PrepareRequest *request) {
    return request->local &&
           request->local->format != STOWAGE__V1__LOCAL_IMAGE__FORMAT__FORMAT_ROOT_FILE_SYSTEM;
}

int daemon_prepare(const char *socket_path, const Stowage__V1__PrepareRequest *request,
                   const struct daemon_listener *listener, Stowage__V1__ContainerPlan **plan,
                   struct error *err) {
    struct prepare_call call = {.listener = listener, .has_documents = has_documents(request)};
    const struct grpc_handler handler = {
        .context = &call, .message = on_event, .watch = watch, .ready = ready};
    call.grpc = grpc_open(socket_path, EARLY_CALL_PATH, SILENCE_MS, EARLY_CALL_TOTAL_MS, &handler, err);
    if (!call.grpc)
        return -1;
    int result = grpc_send(call.grpc, &request->base, err);
    // There is nothing that stowaged could ask for.
    if (request->local && !call.has_documents)
        grpc_send_end(call.grpc);
    if (result == 0)
        result = grpc_run(call.grpc, err);
    if (result == 0)
        result = verdict(&call, err);
    grpc_close(call.grpc);
    if (result == 0)
        *plan = call.plan;
    else if (call.plan)
        stowage__v1__container_plan__free_unpacked(call.plan, NULL);
    return result;
}

// A call with one message each way, whose answer goes to `handler`.
static int call_once(const char *socket_path, const char *path, int limit_ms, const ProtobufCMessage *request,
                     const struct grpc_handler *handler, struct error *err) {
    struct grpc_call *call = grpc_open(socket_path, path, limit_ms, limit_ms, handler, err);
    if (!call)
        return -1;
    int result = grpc_send(call, request, err);
    grpc_send_end(call);
    if (result == 0)
        result = grpc_run(call, err);
    grpc_close(call);
    return result;
}

// That it came is all that the answer says.
static int on_report_answer(void *context, const uint8_t *bytes, size_t length, struct error *err) {
    (void)context;
    (void)bytes;
    (void)length;
    (void)err;
    return 0;
}

int daemon_report_unpacked(const char *socket_path, const Stowage__V1__ReportUnpackedRequest *report,
                           struct error *err) {
    const struct grpc_handler handler = {.message = on_report_answer};
    return call_once(socket_path, "/stowage.v1.ImageService/ReportUnpacked", REPORT_MS, &report->base,
                     &handler, err);
}

static int on_settings(void *context, const uint8_t *bytes, size_t length, struct error *err) {
    Stowage__V1__ReadSettingsResponse **response = context;
    if (*response)
        stowage__v1__read_settings_response__free_unpacked(*response, NULL);
    *response = stowage__v1__read_settings_response__unpack(NULL, length, bytes);
    return *response ? 0 : error_set(err, "stowaged sent something that is not a ReadSettingsResponse");
}

int daemon_read_settings(const char *socket_path, const Stowage__V1__ReadSettingsRequest *request,
                         Stowage__V1__ReadSettingsResponse **response, struct error *err) {
    Stowage__V1__ReadSettingsResponse *answer = NULL;
    const struct grpc_handler handler = {.context = &answer, .message = on_settings};
    int result = call_once(socket_path, "/stowage.v1.ImageService/ReadSettings", SILENCE_MS, &request->base,
                           &handler, err);
    if (result == 0 && !answer)
        result = error_set(err, "stowaged did not say what your settings mean");
    if (result == 0)
        *response = answer;
    else if (answer)
        stowage__v1__read_settings_response__free_unpacked(answer, NULL);
    return result;
}
