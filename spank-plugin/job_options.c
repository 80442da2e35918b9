#include "job_options.h"
#include "carriers.h"
#include "switches.h"

#include <stdio.h>
#include <stdlib.h>

static const char *job_text(spank_t spank, enum option_id id, const char *carrier) {
    char name[OPTION_VARIABLE_MAX];
    snprintf(name, sizeof name, "SPANK_%s", carrier);
    const char *left = getenv(name);
    if (left)
        return left;
    for (int i = 0; i < SWITCH_COUNT; i++) {
        struct spank_option slurms = {.name = (char *)option_switches[i].name, .has_arg = 1};
        char *text = NULL;
        if (option_switches[i].id == id && option_switches[i].dialect == DIALECT_STOWAGE &&
            spank_option_getopt(spank, &slurms, &text) == ESPANK_SUCCESS)
            return text;
    }
    return NULL;
}

int job_options_read(spank_t spank, struct job_choice *choice, struct error *err) {
    struct job_choice read = {.image = job_text(spank, OPTION_IMAGE, PROLOG_IMAGE_CARRIER)};
    const char *pull = job_text(spank, OPTION_PULL, PROLOG_PULL_CARRIER);
    if (!read.image)
        return error_set(err, "the job has no --image");
    if (image_source_parse(read.image, &read.source, err) != 0)
        return -1;
    if (pull && pull_policy_parse(pull, &read.pull, err) != 0)
        return -1;
    *choice = read;
    return 0;
}
