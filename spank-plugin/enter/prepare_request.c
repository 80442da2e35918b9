#include "prepare_request.h"
#include "protocol.h"

_Static_assert((int)PULL_OF_SITE == (int)STOWAGE__V1__PULL_POLICY__PULL_POLICY_UNSPECIFIED &&
                   (int)PULL_MISSING == (int)STOWAGE__V1__PULL_POLICY__PULL_POLICY_MISSING &&
                   (int)PULL_ALWAYS == (int)STOWAGE__V1__PULL_POLICY__PULL_POLICY_ALWAYS &&
                   (int)PULL_NEVER == (int)STOWAGE__V1__PULL_POLICY__PULL_POLICY_NEVER,
               "the plugin numbers policies as the contract does");

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
}
