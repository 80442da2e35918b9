#include "prepare_request.h"
#include "protocol.h"

#include <stdlib.h>

_Static_assert((int)PULL_OF_SITE == (int)STOWAGE__V1__PULL_POLICY__PULL_POLICY_UNSPECIFIED &&
                   (int)PULL_MISSING == (int)STOWAGE__V1__PULL_POLICY__PULL_POLICY_MISSING &&
                   (int)PULL_ALWAYS == (int)STOWAGE__V1__PULL_POLICY__PULL_POLICY_ALWAYS &&
                   (int)PULL_NEVER == (int)STOWAGE__V1__PULL_POLICY__PULL_POLICY_NEVER,
               "the plugin numbers policies as the contract does");

static void fill_options(struct prepare_request *request, const struct options *options) {
    for (size_t i = 0; i < options->given_count; i++) {
        Stowage__V1__Option *option = &request->options[i];
        stowage__v1__option__init(option);
        option->name = options->given[i].name;
        option->value = (char *)options->given[i].value;
        if (options->given[i].origin)
            option->origin = (char *)options->given[i].origin;
        request->option_pointers[i] = option;
    }
    request->message.n_options = options->given_count;
    request->message.options = request->option_pointers;
}

static void fill_devices(struct prepare_request *request) {
    static const char *const NAMES[] = {
        "SLURM_STEP_GPUS",     "SLURM_JOB_GPUS",     "CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES",
        "HIP_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "ZE_AFFINITY_MASK",     "NVIDIA_VISIBLE_DEVICES",
    };
    _Static_assert(sizeof NAMES / sizeof *NAMES == DEVICE_VARIABLES_MAX, "there is room for each");
    size_t count = 0;
    for (size_t i = 0; i < DEVICE_VARIABLES_MAX; i++) {
        const char *value = getenv(NAMES[i]);
        if (!value)
            continue;
        Stowage__V1__EnvironmentVariable *variable = &request->devices[count];
        stowage__v1__environment_variable__init(variable);
        variable->name = (char *)NAMES[i];
        variable->value = (char *)value;
        request->device_pointers[count++] = variable;
    }
    request->message.n_device_environment = count;
    request->message.device_environment = request->device_pointers;
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
    fill_devices(request);
}
