#include "prepare_request.h"
#include "protocol.h"

#include <string.h>

_Static_assert((int)PULL_OF_SITE == (int)STOWAGE__V1__PULL_POLICY__PULL_POLICY_UNSPECIFIED &&
                   (int)PULL_MISSING == (int)STOWAGE__V1__PULL_POLICY__PULL_POLICY_MISSING &&
                   (int)PULL_ALWAYS == (int)STOWAGE__V1__PULL_POLICY__PULL_POLICY_ALWAYS &&
                   (int)PULL_NEVER == (int)STOWAGE__V1__PULL_POLICY__PULL_POLICY_NEVER,
               "the plugin numbers policies as the contract does");

// What only stowage-enter deals with.
static bool is_own(const char *name) {
    return strcmp(name, "name") == 0 || strcmp(name, "save") == 0;
}

static void fill_options(struct prepare_request *request, const struct options *options) {
    size_t count = 0;
    for (size_t i = 0; i < options->given_count; i++) {
        if (is_own(options->given[i].name))
            continue;
        Stowage__V1__Option *option = &request->options[count];
        stowage__v1__option__init(option);
        option->name = options->given[i].name;
        option->value = (char *)options->given[i].value;
        if (options->given[i].origin)
            option->origin = (char *)options->given[i].origin;
        request->option_pointers[count++] = option;
    }
    request->message.n_options = count;
    request->message.options = request->option_pointers;
}

void prepare_request_fill(struct prepare_request *request, const struct options *options, const char *image,
                          const char *node, char **digests) {
    stowage__v1__version__init(&request->version);
    request->version.protocol = PROTOCOL_VERSION;
    request->version.software = "stowage-enter " SOFTWARE_VERSION;
    stowage__v1__job_context__init(&request->job);
    request->job.job_id = options->job_id;
    request->job.step_id = options->step_id;
    request->job.node_name = (char *)node;
    Stowage__V1__PrepareRequest *message = &request->message;
    stowage__v1__prepare_request__init(message);
    message->client = &request->version;
    message->reference = (char *)image;
    message->job = &request->job;
    while (digests[message->n_unpacked_digests])
        message->n_unpacked_digests++;
    message->unpacked_digests = digests;
    message->pull = (Stowage__V1__PullPolicy)options->pull;
    message->prefetch = options->prefetch;
    fill_options(request, options);
}
