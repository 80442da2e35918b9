// What stowage-enter tells stowaged in the first message of Prepare.
#pragma once

#include "error.h"
#include "options.h"

#include <stowage/v1/image.pb-c.h>

enum { DEVICE_VARIABLES_MAX = 8 };

// The messages of a request; they point at each other and at the strings they were made of.
struct prepare_request {
    Stowage__V1__Version version;
    Stowage__V1__JobContext job;
    Stowage__V1__Option options[GIVEN_OPTIONS_MAX];
    Stowage__V1__Option *option_pointers[GIVEN_OPTIONS_MAX];
    Stowage__V1__EnvironmentVariable devices[DEVICE_VARIABLES_MAX];
    Stowage__V1__EnvironmentVariable *device_pointers[DEVICE_VARIABLES_MAX];
    Stowage__V1__PrepareRequest message;
};

// Fills in all that is the same for each request: who calls, for which job, which image, which devices Slurm
// gave. `digests` are those of the trees that are there, NULL-terminated.
void prepare_request_fill(struct prepare_request *request, const struct options *options, const char *image,
                          const char *node, char **digests);
